/** `bootlace caption|classify|score IMAGE --model RUN:NODE`: try what was trained. */
import * as Effect from "effect/Effect"
import { usage } from "../Failure.ts"
import { splitModel } from "../FindModel.ts"
import type { TryOptions } from "../Invocation.ts"
import { out } from "../Screen.ts"
import { table } from "../Table.ts"
import { open } from "../TrainedModel.ts"
import type { TrainedModel } from "../TrainedModel.ts"

const withModel = <A>(options: TryOptions, use: (model: TrainedModel) => Promise<A>): Effect.Effect<A, unknown> => {
  const [run, node] = splitModel(options.model)
  const failure = (cause: unknown) => cause
  return Effect.acquireUseRelease(
    Effect.tryPromise({
      try: () => open(run, node, { store: options.store, engine: options.engine }),
      catch: failure
    }),
    (model) => Effect.tryPromise({ try: () => use(model), catch: failure }),
    (model) => Effect.promise(() => model.close())
  )
}

export const caption = Effect.fnUntraced(function* (options: TryOptions) {
  const text = yield* withModel(options, (model) => model.caption(options.image))
  yield* out(options.json ? JSON.stringify({ caption: text }) : text)
})

export const classify = Effect.fnUntraced(function* (options: TryOptions & { readonly labels: string }) {
  const labels = options.labels
    .split(",")
    .map((label) => label.trim())
    .filter((label) => label !== "")
  if (labels.length < 2) return yield* usage("error: --labels: expected at least two, separated by commas")
  const found = yield* withModel(options, (model) => model.classify(options.image, labels))
  const rows = found.map(({ label, score: cosine }) => [label, cosine.toFixed(4)])
  yield* out(
    options.json
      ? JSON.stringify({ classes: found })
      : table([{ title: "label" }, { title: "cosine", align: "right" }], rows)
  )
})

export const score = Effect.fnUntraced(function* (options: TryOptions & { readonly text: string }) {
  const found = yield* withModel(options, (model) => model.score(options.image, options.text))
  const rows = Object.entries(found).map(([name, value]) => [name, (value as number).toFixed(4)])
  yield* out(
    options.json ? JSON.stringify(found) : table([{ title: "score" }, { title: "value", align: "right" }], rows)
  )
})
