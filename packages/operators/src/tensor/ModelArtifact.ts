/**
 * A model as an artifact: config.json, model.safetensors, vocab.txt, preprocessor_config.json, in Hugging Face's words.
 *
 * Written by InitModel and Train, read by every operator that takes `model` or `init`.
 */
import { parseJson, defaultLimits } from "@bootlace/data"
import type { HostTensors } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"
import type { Artifact, ArtifactWriter } from "@bootlace/graph"
import { atImageSize, modelFromConfig, preprocessorConfig, tokenizerOf } from "@bootlace/models"
import type { Model, Tokenizer } from "@bootlace/models"
import * as Effect from "effect/Effect"
import { decodeTensors, tensorParts } from "./TensorFile.ts"

/** What the host needs of a model; its weights live in the executor. */
export interface OpenModel {
  readonly model: Model
  readonly tokenizer: Tokenizer
  readonly vocabulary: string
}

export interface ModelArtifact extends OpenModel {
  readonly weights: HostTensors
}

const invalid = (node: string, detail: string): NodeError =>
  new NodeError({ code: "R401", node, detail, hint: "the artifact isn't one that InitModel or Train wrote" })

/** Every weight that the config asks for, with its shape, and no other. */
const checkWeights = (model: Model, weights: HostTensors): void => {
  for (const [name, shape] of Object.entries(model.shapes)) {
    const found = weights[name]
    if (found === undefined) throw new Error(`model.safetensors has no weight ${name}`)
    if (found.shape.join() !== shape.join() || found.dtype !== "float32") {
      throw new Error(`weight ${name}: expected float32 [${shape.join()}], got ${found.dtype} [${found.shape.join()}]`)
    }
  }
  const extra = Object.keys(weights).find((name) => model.shapes[name] === undefined)
  if (extra !== undefined) throw new Error(`model.safetensors has a weight ${extra} that the config doesn't know`)
}

/** Reads the whole artifact; the weights are parts of one buffer, held once. Fails with R401 when its files don't fit together. */
export const readModel = Effect.fnUntraced(function* (node: string, artifact: Artifact) {
  const text = yield* artifact.read("vocab.txt")
  const config = yield* artifact.read("config.json")
  const tensors = yield* artifact.read("model.safetensors")
  return yield* Effect.try({
    try: (): ModelArtifact => {
      const model = modelFromConfig(parseJson(config, defaultLimits, { file: "config.json" }))
      const vocabulary = new TextDecoder().decode(text)
      const weights = decodeTensors(tensors, "model.safetensors", true)
      checkWeights(model, weights)
      return { model, tokenizer: tokenizerOf(model, vocabulary, { literal: true }), vocabulary, weights }
    },
    catch: (cause) => invalid(node, cause instanceof Error ? cause.message : String(cause))
  })
})

/** The model at another size of its images, where one is given. Fails with R208 where its patches don't cover them. */
export const atSize = <A extends Omit<ModelArtifact, "tokenizer">>(
  node: string,
  artifact: A,
  image_size: number | undefined
): Effect.Effect<A, NodeError> => {
  if (image_size === undefined) return Effect.succeed(artifact)
  return Effect.try({
    try: () => {
      const { model, positions, resize } = atImageSize(artifact.model, image_size)
      const data = resize(artifact.weights[positions]!.data as Float32Array)
      const resized = { shape: model.shapes[positions]!, dtype: "float32" as const, data }
      return { ...artifact, model, weights: { ...artifact.weights, [positions]: resized } }
    },
    catch: (cause) =>
      new NodeError({
        code: "R208",
        node,
        detail: `image_size ${image_size}: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)

export const writeModel = Effect.fnUntraced(function* (
  writer: ArtifactWriter,
  { model, vocabulary, weights }: Omit<ModelArtifact, "tokenizer">
) {
  yield* writer.write("config.json", json(model.config))
  yield* writer.write("preprocessor_config.json", json(preprocessorConfig(model)))
  yield* writer.write("vocab.txt", new TextEncoder().encode(vocabulary))
  yield* writer.write("model.safetensors", tensorParts(weights))
})
