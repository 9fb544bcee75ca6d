/**
 * The digest of every operator's captured program, by name, version and architecture. A program that changes has other
 * results: raise the operator's version, so that no cache answers with the old ones, and write down the new digest.
 */
import { imageColumn, sha256, tensorColumn, textColumn } from "@bootlace/data"
import { capture, Engine, heldOnHost, printGraph } from "@bootlace/engine"
import type { Executor, HostTensor, HostTensors, LoadedModel, Specs, Tensors } from "@bootlace/engine"
import type { Operator } from "@bootlace/graph"
import { Effect, Layer } from "effect"
import { describe, expect, it } from "vitest"
import { Captioner } from "../src/Captioner.ts"
import { ImageEncoder } from "../src/ImageEncoder.ts"
import { ITC } from "../src/ITC.ts"
import { ITM } from "../src/ITM.ts"
import { LMDecoder } from "../src/LMDecoder.ts"
import { readModel } from "../src/tensor/ModelArtifact.ts"
import { LoadedModels } from "../src/tensor/LoadedModels.ts"
import { composeTraining, livingGraph } from "../src/tensor/TrainingProgram.ts"
import { TextEncoder as TextEncoderOperator } from "../src/TextEncoder.ts"
import { Train } from "../src/Train.ts"
import { contextOf, rowsOf, runIn } from "./inMemory.ts"
import digests from "./programs.json" with { type: "json" }
import { images, newModel } from "./tinyPairs.ts"
import { trainingGraph } from "./trainingGraph.ts"

const specsOf = (tensors: HostTensors): Specs =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape, dtype }]) => [name, { shape, dtype }]))

const prefixed = (prefix: string, specs: Specs): Specs =>
  Object.fromEntries(Object.entries(specs).map(([name, spec]) => [prefix + name, spec]))

const under = (prefix: string, tensors: Tensors): Tensors =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor])
  )

const zeros = ({ shape, dtype }: Specs[string]): HostTensor => {
  const size = shape.reduce((product, side) => product * side, 1)
  return { shape, dtype, data: dtype === "int32" ? new Int32Array(size) : new Float32Array(size) }
}

/** An engine that writes down what it is asked to run, and answers with zeros. */
const recorder = (seen: Map<string, string>): Layer.Layer<Engine> =>
  Layer.succeed(Engine, {
    name: "eager",
    numerics: "none",
    load: (held) => {
      const run: LoadedModel["run"] = (program, inputs) =>
        Effect.sync(() => {
          const specs = { ...prefixed("w:", specsOf(held)), ...prefixed("x:", specsOf(inputs)) }
          const graph = capture(program.name, specs, (all) => program.run(under("w:", all), under("x:", all)))
          seen.set(program.name, sha256(printGraph(graph)).slice(0, 16))
          return Object.fromEntries(Object.entries(graph.outputs).map(([name, value]) => [name, zeros(value)]))
        })
      return Effect.succeed({
        run,
        hold: Effect.sync(() => heldOnHost(run)),
        train: () => Effect.die("not asked for"),
        weights: Effect.succeed(held)
      })
    }
  } satisfies Executor)

const image = imageColumn(images.slice(0, 2))
const text = textColumn(["a red square", "a blue corner"])
const embeds = tensorColumn(new Float32Array(32).fill(1), [16])
const tokens = tensorColumn(new Float32Array(2 * 5 * 32), [5, 32])

const models = { clip: await newModel("clip"), blip: await newModel("blip"), siglip: await newModel("siglip") }

describe("the programs of version", () => {
  it.each([
    [ImageEncoder, { image }, ["clip", "blip", "siglip"]],
    [TextEncoderOperator, { text }, ["clip", "blip", "siglip"]],
    [ITC, { image_embeds: embeds, text_embeds: embeds }, ["blip"]],
    [ITM, { image_tokens: tokens, text }, ["blip"]],
    [LMDecoder, { image_tokens: tokens, text }, ["blip"]],
    [Captioner, { image }, ["blip"]]
  ] as ReadonlyArray<[Operator.MapOperator, Parameters<typeof rowsOf>[0], ReadonlyArray<keyof typeof models>]>)(
    "$version of $name are those written down",
    async (operator, columns, architectures) => {
      for (const architecture of architectures) {
        const seen = new Map<string, string>()
        const given = { config: { batch_size: 2 }, artifacts: { model: models[architecture] } }
        const effect = Effect.gen(function* () {
          const body = yield* operator.body.open(yield* contextOf(operator, given))
          yield* body(rowsOf(columns))
        })
        await runIn({ layer: Layer.provide(LoadedModels.layer, recorder(seen)) }, effect)
        const wanted = (digests as Record<string, unknown>)[`${operator.name} ${operator.version} ${architecture}`]
        expect(Object.fromEntries(seen)).toEqual(wanted)
      }
    }
  )

  it.each(["clip", "blip", "siglip"] as const)("Train are those written down: %s", async (architecture) => {
    const objectives = architecture === "blip" ? ["itc", "itm", "lm"] : ["itc"]
    const opened = await runIn({}, readModel("test", models[architecture]))
    const { graph } = await trainingGraph({ objectives, steps: 1 })
    const { program, feeds, initialState } = composeTraining(
      "Train",
      await Effect.runPromise(livingGraph(graph)),
      opened,
      2
    )
    const weights: Specs = Object.fromEntries(
      Object.entries(opened.model.shapes).map(([name, shape]) => [name, { shape, dtype: "float32" }])
    )
    const twin = Object.fromEntries(program.twin.map((name) => [name, weights[name]!]))
    const step = { seed: 1, node: "train", step: 0, batch_size: 2, first: 0, count: 2, epoch: 0 }
    const inputs: Specs = {
      "pairs.image": { shape: [2, 3, 16, 16], dtype: "float32" },
      "pairs.text.input_ids": { shape: [2, 8], dtype: "int32" },
      "pairs.text.attention_mask": { shape: [2, 8], dtype: "int32" },
      ...specsOf(feeds(step))
    }
    const specs = {
      ...prefixed("w:", weights),
      ...prefixed("t:", twin),
      ...prefixed("s:", specsOf(initialState(1))),
      ...prefixed("x:", inputs)
    }
    const printed = printGraph(
      capture("Train", specs, (all) => {
        const tensors = {
          weights: under("w:", all),
          twin: under("t:", all),
          state: under("s:", all),
          inputs: under("x:", all)
        }
        const { losses, outputs } = program.run(tensors)
        return { ...losses, ...outputs }
      })
    )
    const wanted = (digests as Record<string, unknown>)[`Train ${Train.version} ${architecture}`]
    expect(sha256(printed).slice(0, 16)).toEqual(wanted)
  })
})
