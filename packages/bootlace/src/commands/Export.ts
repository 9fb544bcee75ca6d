/** `bootlace export RUN:NODE --to DIR`: a trained model as a folder that transformers opens, with a card of what was measured. */
import { Files, writeFile } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import { huggingFaceClasses } from "@bootlace/models"
import type { HuggingFaceClass } from "@bootlace/models"
import { CheckpointError, exportHuggingFace, exportOnnx, readModel } from "@bootlace/operators"
import type { ExportDtype } from "@bootlace/operators"
import { readKeys } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import { basename, dirname, join, resolve } from "node:path"
import { attributionOf, loadConfig } from "../ConfigFile.ts"
import { usage } from "../Failure.ts"
import { findModel, splitModel } from "../FindModel.ts"
import type { FoundModel } from "../FindModel.ts"
import { modelCard } from "../ModelCard.ts"
import { readLock } from "../RunLock.ts"
import { out } from "../Screen.ts"

export interface ExportCommand {
  /** RUN:NODE, or a model's folder. */
  readonly model: string
  readonly to: string
  readonly as: string | undefined
  readonly dtype: ExportDtype
  /** Write the ONNX files of transformers.js too. */
  readonly onnx: boolean
  readonly store: string
  readonly noConfig: boolean
}

type Origin = NonNullable<FoundModel["origin"]>

const classOf = Effect.fnUntraced(function* (as: string | undefined) {
  const known: HuggingFaceClass | undefined = huggingFaceClasses.find((name) => name === as)
  if (as !== undefined && known === undefined)
    return yield* usage(`error: --as: no class ${as}\nhint: classes are ${huggingFaceClasses.join(", ")}`)
  return known
})

/** How the model was made, as far as the run's folder still tells. */
const recipeOf = Effect.fnUntraced(function* (store: string, { record, node }: Origin) {
  const keys = yield* readKeys(store, record.run)
  const config = keys?.[node]?.parts["config"]
  const lock = yield* Effect.orElseSucceed(readLock(join(store, "runs", record.run, "run.lock")), () => undefined)
  return { ...(config === undefined ? {} : { config }), ...(lock === undefined ? {} : { lock }) }
})

/** Into a folder beside the target, which is renamed when it is whole: a model folder is never half a model. */
const written = Effect.fnUntraced(function* (found: FoundModel, options: ExportCommand, to: string) {
  const as = yield* classOf(options.as)
  const files = yield* Files
  const model = yield* readModel(found.origin?.node ?? options.model, found.artifact)
  const partial = join(dirname(to), `.${basename(to)}.partial`)
  yield* files.remove(partial)
  const opens = yield* exportHuggingFace(model, partial, { as, dtype: options.dtype })
  if (options.onnx) yield* exportOnnx(model, partial)
  if (found.origin !== undefined) {
    const { record } = found.origin
    const config = yield* loadConfig(process.cwd(), options.noConfig)
    const operators = record.graph.map((node) => node.op)
    const parameters = Object.values(model.weights).reduce((sum, { data }) => sum + data.length, 0)
    const attribution = attributionOf(config, operators)
    const facts = { ...found.origin, ...(yield* recipeOf(options.store, found.origin)) }
    const card = modelCard({ ...facts, class: opens, dtype: options.dtype, parameters, attribution })
    yield* writeFile(join(partial, "README.md"), [new TextEncoder().encode(card)])
  }
  yield* files.fsyncFolder(partial)
  yield* files.rename(partial, to)
  yield* files.fsyncFolder(dirname(to))
  return opens
})

const work = Effect.fnUntraced(function* (options: ExportCommand) {
  const to = resolve(options.to)
  const files = yield* Files
  if ((yield* files.stat(to)) !== undefined)
    return yield* usage(`error: ${options.to} is there already\nhint: name a folder that isn't, or remove it`)
  if ((yield* files.stat(dirname(to)))?.kind !== "folder")
    return yield* usage(`error: there is no folder ${dirname(to)} to export into`)
  const [run, node] = splitModel(options.model)
  const opens = yield* written(yield* findModel(options.store, run, node), options, to)
  yield* out(`${options.to}  ${opens}, ${options.dtype}`)
})

/** What doesn't fit is the caller's choice of model or class, seen before anything is written. */
const explained = (error: unknown): unknown =>
  error instanceof NodeError || error instanceof CheckpointError
    ? usage(`error: ${error.detail}${error.hint === undefined ? "" : `\nhint: ${error.hint}`}`)
    : error

export const exportModel = (options: ExportCommand): Effect.Effect<void, unknown> =>
  work(options).pipe(Effect.mapError(explained), Effect.provide(Files.layer))
