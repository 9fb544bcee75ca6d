/** InitModel at work: weights are drawn, or read from a checkpoint, when the artifact is written. */
import type { Files } from "@bootlace/data"
import type { HostTensors } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"
import type { Artifact, FoldBody } from "@bootlace/graph"
import { modelFromConfig, preset, tokenizerOf, wordPiece } from "@bootlace/models"
import type { Model } from "@bootlace/models"
import * as Effect from "effect/Effect"
import { resolve } from "node:path"
import type { Config } from "../InitModel.ts"
import { hashCheckpoint, loadCheckpoint } from "../tensor/LoadCheckpoint.ts"
import { atSize, writeModel } from "../tensor/ModelArtifact.ts"

type Json = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** `over` laid on `base`, tower by tower. */
const overlaid = (base: Json, over: Json): Json => {
  const inner = Object.entries(over).map(([key, value]) => {
    const below = base[key]
    return [key, isObject(below) && isObject(value) ? { ...below, ...value } : value]
  })
  return { ...base, ...Object.fromEntries(inner) }
}

/** Throws an Error that names every wrong key. */
const modelOf = (config: Config, vocab_size: number): Model => {
  const { architecture } = config
  const base =
    config.preset === undefined ? { model_type: architecture } : preset(architecture, config.preset, { vocab_size })
  const model = modelFromConfig(overlaid(base as unknown as Json, config.config ?? {}))
  if (model.architecture === architecture) return model
  throw new Error(`architecture says ${architecture}, config.model_type says ${model.architecture}`)
}

const initialWeights = (model: Model, seed: number): HostTensors =>
  Object.fromEntries(
    Object.entries(model.init(seed)).map(([name, data]) => [
      name,
      { shape: model.shapes[name]!, dtype: "float32" as const, data }
    ])
  )

const make = (config: Config, vocabulary: string, seed: number) => {
  const model = modelOf(config, wordPiece(vocabulary).vocab_size)
  tokenizerOf(model, vocabulary)
  return { model, vocabulary, weights: initialWeights(model, seed) }
}

const readVocabulary = (node: string, artifact: Artifact | undefined) =>
  artifact === undefined
    ? Effect.fail(new NodeError({ code: "R208", node, detail: "a new model needs a vocabulary; none is wired" }))
    : artifact.read("vocab.txt").pipe(Effect.map((bytes) => new TextDecoder().decode(bytes)))

const fresh = Effect.fnUntraced(function* (node: string, config: Config, seed: number, artifact: Artifact | undefined) {
  const vocabulary = yield* readVocabulary(node, artifact)
  return yield* Effect.try({
    try: () => make(config, vocabulary, seed),
    catch: (cause) =>
      new NodeError({ code: "R208", node, detail: cause instanceof Error ? cause.message : String(cause) })
  })
})

type Body = FoldBody<Config, Files>

export const content: NonNullable<Body["content"]> = ({ node, config, directory }) =>
  config.path === undefined ? Effect.succeed(undefined) : hashCheckpoint(node, resolve(directory, config.path))

export const open: Body["open"] = ({ node, config, seed, artifacts, writer, directory }) =>
  Effect.succeed({
    step: () => Effect.void,
    snapshot: Effect.succeed({}),
    restore: () => Effect.void,
    finish: Effect.gen(function* () {
      const model =
        config.path === undefined
          ? yield* fresh(node, config, seed, artifacts["vocabulary"])
          : yield* atSize(
              node,
              yield* loadCheckpoint(node, config.architecture, resolve(directory, config.path)),
              config.image_size
            )
      yield* writeModel(writer, model)
      const sizes = Object.values(model.weights).map(({ data }) => data.length)
      return { parameters: sizes.reduce((sum, size) => sum + size, 0) }
    })
  })
