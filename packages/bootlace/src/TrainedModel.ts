/**
 * A trained model to try: captions, classes and scores for one image at a time, by the same operators that pipelines use.
 *
 * The model is a node of a run (`latest`, an id or its beginning) or a folder with config.json and model.safetensors.
 */
import {
  columnOf,
  decodeImage,
  floatsOf,
  imageColumn,
  makeBatch,
  rowIdVector,
  sha256,
  sourceRowIds,
  takeRows,
  textColumn,
  textsOf
} from "@bootlace/data"
import type { Vectors } from "@bootlace/data"
import type { Executor } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"
import type { Artifact, MapBody } from "@bootlace/graph"
import { Captioner, ImageEncoder, ITC, ITM, TextEncoder } from "@bootlace/operators"
import type { LoadedModels } from "@bootlace/operators"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import { readFile } from "node:fs/promises"
import { usage } from "./Failure.ts"
import { findModel } from "./FindModel.ts"
import { engineMachinery } from "./Machinery.ts"

export interface OpenOptions {
  /** Default `.bootlace`. */
  readonly store?: string
  readonly engine?: Executor["name"]
  readonly threads?: number
}

/** An image file's path, or its bytes: JPEG, PNG or WebP. */
export type ImageInput = string | Uint8Array

export interface Classified {
  readonly label: string
  /** Cosine of the image and the label's sentences. */
  readonly score: number
}
export interface Scored {
  /** Cosine of image and text. */
  readonly itc_score: number
  /** In [0, 1]; of BLIP models only. */
  readonly match_probability?: number
}

export interface TrainedModel {
  /** A caption, decoded greedily. BLIP models only. */
  readonly caption: (image: ImageInput) => Promise<string>
  /** Labels by falling score. `templates` are sentences with {label}; their cosines are averaged. */
  readonly classify: (
    image: ImageInput,
    labels: ReadonlyArray<string>,
    templates?: ReadonlyArray<string>
  ) => Promise<ReadonlyArray<Classified>>
  readonly score: (image: ImageInput, text: string) => Promise<Scored>
  /** Ends the engine. */
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

interface MapOperator {
  readonly name: string
  readonly config: Schema.Codec<never, unknown, never, never>
  readonly body: MapBody<never, LoadedModels>
}

const readable = Effect.fnUntraced(function* (path: string) {
  return yield* Effect.tryPromise({
    try: () => readFile(path),
    catch: (cause) => usage(`error: image ${path} not readable: ${(cause as Error).message}`)
  })
})

/** The bytes, known to decode. */
const imageBytes = Effect.fnUntraced(function* (image: ImageInput) {
  const bytes: Uint8Array = typeof image === "string" ? yield* readable(image) : image
  const where = { file: typeof image === "string" ? image : "image" }
  yield* decodeImage(bytes, { where }).pipe(Effect.mapError((error) => usage(`error: ${error.message}`)))
  return bytes
})

/** Operators pad a batch to its full size: one image must not cost sixty-four. They take two rows at the least. */
const batchOf = (rows: number): number => Math.max(2, Math.min(64, rows))

/** One operator on a handful of rows, with its default config; every row has to come through. */
const apply = Effect.fnUntraced(function* (
  operator: unknown,
  artifact: Artifact | undefined,
  rows: number,
  columns: Vectors
) {
  // Each operator has a config type of its own; here it is only decoded and handed back.
  const { name, config, body } = operator as MapOperator
  const call = yield* body.open({
    node: name,
    config: yield* Schema.decodeUnknownEffect(config)({ batch_size: batchOf(rows) }).pipe(Effect.orDie),
    seed: 0,
    artifacts: artifact === undefined ? {} : { model: artifact },
    directory: "."
  })
  const made = yield* call(makeBatch({ row_id: rowIdVector(sourceRowIds(sha256(name), 0, rows)), ...columns }))
  const [bad] = made.rejected
  if (bad !== undefined) return yield* new NodeError({ code: bad.code, node: name, row: bad.row, detail: bad.reason })
  return makeBatch(made.columns)
})

/** Cosines of one image with each text, and the image's tokens for further use. */
const compare = Effect.fnUntraced(function* (artifact: Artifact, bytes: Uint8Array, texts: ReadonlyArray<string>) {
  const n = texts.length
  const image = yield* apply(ImageEncoder, artifact, 1, { image: imageColumn([{ bytes }]) })
  const text = yield* apply(TextEncoder, artifact, n, { text: textColumn(texts) })
  const scores = yield* apply(ITC, undefined, n, {
    image_embeds: columnOf(takeRows(image, new Int32Array(n)), "image_embeds"),
    text_embeds: columnOf(text, "text_embeds")
  })
  return { image, scores: floatsOf(columnOf(scores, "itc_score")) }
})

const captionOf = Effect.fnUntraced(function* (artifact: Artifact, image: ImageInput) {
  const bytes = yield* imageBytes(image)
  const made = yield* apply(Captioner, artifact, 1, { image: imageColumn([{ bytes }]) })
  return textsOf(columnOf(made, "caption"))[0] ?? ""
}, Effect.scoped)

const classesOf = Effect.fnUntraced(function* (
  artifact: Artifact,
  image: ImageInput,
  labels: ReadonlyArray<string>,
  templates: ReadonlyArray<string>
) {
  if (labels.length === 0) return []
  const bytes = yield* imageBytes(image)
  const sentences = labels.flatMap((label) => templates.map((template) => template.replaceAll("{label}", label)))
  const { scores } = yield* compare(artifact, bytes, sentences)
  const per = templates.length
  return labels
    .map((label, i): Classified => {
      const own = scores.slice(i * per, (i + 1) * per)
      return { label, score: own.reduce((sum, score) => sum + score, 0) / per }
    })
    .sort((a, b) => b.score - a.score)
}, Effect.scoped)

const isBlip = Effect.fnUntraced(function* (artifact: Artifact) {
  const config = JSON.parse(new TextDecoder().decode(yield* artifact.read("config.json"))) as Readonly<
    Record<string, unknown>
  >
  return config["architecture"] === "blip" || config["model_type"] === "blip"
})

const scoreOf = Effect.fnUntraced(function* (artifact: Artifact, image: ImageInput, text: string) {
  const bytes = yield* imageBytes(image)
  const { image: encoded, scores } = yield* compare(artifact, bytes, [text])
  const itc_score = scores[0]!
  if (!(yield* isBlip(artifact))) return { itc_score } satisfies Scored
  const made = yield* apply(ITM, artifact, 1, {
    image_tokens: columnOf(encoded, "image_tokens"),
    text: textColumn([text])
  })
  return { itc_score, match_probability: floatsOf(columnOf(made, "match_probability"))[0]! } satisfies Scored
}, Effect.scoped)

const reads = {
  caption: /^text_decoder\./,
  classify: /^(text_encoder|text_proj|vision_proj)\./,
  score: /^(text_encoder|text_proj|vision_proj|itm_head)\./
} as const

/** A class of transformers has some of BLIP's roles: what it lacks would answer at random. */
const needed = <A, E, R>(what: keyof typeof reads, missing: ReadonlyArray<string>, work: Effect.Effect<A, E, R>) => {
  const lacking = missing.find((name) => reads[what].test(name))
  return lacking === undefined
    ? work
    : Effect.fail(
        usage(
          `error: this checkpoint can't ${what}: it has no weight ${lacking}\nhint: export the model as another class, --as`
        )
      )
}

/** Opens a model for trying. Without a node, the run's last model. Rejects with a message that says what is missing. */
export const open = async (runOrFolder: string, node?: string, options: OpenOptions = {}): Promise<TrainedModel> => {
  const { artifact, missing } = await Effect.runPromise(findModel(options.store ?? ".bootlace", runOrFolder, node))
  const runtime = ManagedRuntime.make(engineMachinery({ engine: options.engine ?? "onnx", threads: options.threads }))
  const close = () => runtime.dispose()
  return {
    caption: (image) => runtime.runPromise(needed("caption", missing, captionOf(artifact, image))),
    classify: (image, labels, templates = ["{label}"]) =>
      runtime.runPromise(needed("classify", missing, classesOf(artifact, image, labels, templates))),
    score: (image, text) => runtime.runPromise(needed("score", missing, scoreOf(artifact, image, text))),
    close,
    [Symbol.asyncDispose]: close
  }
}
