/** What `precision: int8` does to embeddings. */
import { floatsOf, imageColumn, textColumn } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import { Effect, Layer } from "effect"
import { expect, it } from "vitest"
import { ImageEncoder } from "../src/ImageEncoder.ts"
import { InitModel } from "../src/InitModel.ts"
import { LoadedModels } from "../src/tensor/LoadedModels.ts"
import { TextEncoder as TextEncoderOperator } from "../src/TextEncoder.ts"
import { artifactOf, contextOf, rowsOf, runFold, runIn } from "./inMemory.ts"
import { images, onnx, texts, vocabulary } from "./tinyPairs.ts"

const int8 = Layer.provideMerge(LoadedModels.layer, Engine.onnx({ threads: 1, precision: "int8" }))

it.each(["clip", "blip"] as const)("embeddings of %s stay where they are but for a little", async (architecture) => {
  const given = { config: { architecture, preset: "micro" }, artifacts: { vocabulary }, seed: 3 }
  const model = artifactOf("model", (await runIn(given, runFold(InitModel, given, []))).files)
  const embed = (layer: typeof onnx, operator: typeof ImageEncoder | typeof TextEncoderOperator) =>
    runIn(
      { layer },
      Effect.gen(function* () {
        const config = { batch_size: 16 }
        const body = yield* operator.body.open((yield* contextOf(operator, { config, artifacts: { model } })) as never)
        const column = operator === ImageEncoder ? { image: imageColumn(images) } : { text: textColumn(texts) }
        const { columns } = yield* body(rowsOf(column))
        return floatsOf(
          (columns as Readonly<Record<string, never>>)[operator === ImageEncoder ? "image_embeds" : "text_embeds"]!
        )
      })
    )
  for (const operator of [ImageEncoder, TextEncoderOperator]) {
    const [exact, small] = [await embed(onnx, operator), await embed(int8, operator)]
    expect(small).not.toEqual(exact)
    const width = exact.length / texts.length
    for (let row = 0; row < texts.length; row++) {
      let cosine = 0
      for (let i = row * width; i < (row + 1) * width; i++) cosine += exact[i]! * small[i]!
      expect(cosine).toBeGreaterThan(0.99)
    }
  }
})
