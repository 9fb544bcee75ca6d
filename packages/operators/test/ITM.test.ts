import { floatsOf, tensorColumn, textColumn } from "@bootlace/data"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { ITM } from "../src/ITM.ts"
import { LMDecoder } from "../src/LMDecoder.ts"
import { operatorContract } from "./contract.ts"
import { contextOf, rowsOf, runIn } from "./inMemory.ts"
import { eager, newModel, onnx, texts } from "./tinyPairs.ts"

const image_tokens = tensorColumn(
  Float32Array.from({ length: 4 * 5 * 32 }, (_, i) => Math.sin(i)),
  [5, 32]
)

// Its probabilities are compared with PyTorch's in pytorch.test.ts.
operatorContract(ITM, {
  config: { batch_size: 2 },
  artifacts: { model: await newModel("blip") },
  layer: eager,
  columns: { image_tokens, text: textColumn(texts.slice(0, 4)) },
  nulls: { image_tokens, text: textColumn(["a red square", null, "a", ""]) },
  badConfigs: [
    { config: { negatives: "easy" }, names: /negatives/ },
    { config: { same_image: true }, names: /same_image/ }
  ]
})

describe.each([
  [ITM, "match_probability"],
  [LMDecoder, "caption_log_likelihood"]
] as const)("$name", async (operator, column) => {
  const model = await newModel("blip")
  const sentences = [
    "a red",
    "a blue corner of a yellow square",
    "green",
    "an image of a cyan column",
    "a black stripe"
  ]
  const tokens = (image: number) => Array.from({ length: 5 * 32 }, (_, i) => Math.sin(i + 7 * image))
  const scores = (
    layer: typeof eager,
    images: ReadonlyArray<number>,
    texts: ReadonlyArray<string>,
    batch_size: number
  ) => {
    const rows = rowsOf({
      image_tokens: tensorColumn(Float32Array.from(images.flatMap(tokens)), [5, 32]),
      text: textColumn(texts)
    })
    const work = Effect.gen(function* () {
      const body = yield* operator.body.open(
        (yield* contextOf(operator, { config: { batch_size }, artifacts: { model } })) as never
      )
      return [...floatsOf((yield* body(rows)).columns[column]!)]
    })
    return runIn({ layer }, work)
  }

  it("scores texts of one image together as it scores each alone", async () => {
    const images = [0, 0, 0, 0, 0, 1, 2, 2, 2, 2]
    const all = [...sentences, ...sentences]
    const alone = await runEach(images, all)
    for (const batch_size of [2, 8, 64]) {
      const together = await scores(onnx, images, all, batch_size)
      together.forEach((score, i) => expect(score).toBeCloseTo(alone[i]!, 5))
    }
  })

  const runEach = async (images: ReadonlyArray<number>, all: ReadonlyArray<string>) => {
    const single: Array<number> = []
    for (const [i, image] of images.entries()) single.push((await scores(eager, [image], [all[i]!], 2))[0]!)
    return single
  }
})
