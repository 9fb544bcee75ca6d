/** How often the image tower runs where several operators of one model see the same images. */
import { floatsOf, imageColumn, textColumn, textsOf } from "@bootlace/data"
import type { Batch, Operator } from "@bootlace/graph"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { Captioner } from "../src/Captioner.ts"
import { ImageEncoder } from "../src/ImageEncoder.ts"
import { ITC } from "../src/ITC.ts"
import { ITM } from "../src/ITM.ts"
import { TextEncoder as TextEncoderOperator } from "../src/TextEncoder.ts"
import { countedRuns } from "./countedRuns.ts"
import { contextOf, rowsOf, runIn } from "./inMemory.ts"
import { images, newModel, texts } from "./tinyPairs.ts"

const model = await newModel("blip")
const image = imageColumn(images.slice(0, 12))
const text = textColumn(texts.slice(0, 12))

/** Runs `work` with operators that stay open together, as in a pass; their micro-batches have 4 rows. */
const together = async <A>(work: (open: Opener) => Effect.Effect<A, unknown, any>) => {
  const { layer, runs } = countedRuns()
  const result = await runIn({ layer }, work(opener))
  return { result, runs: Object.fromEntries(runs) }
}

const opener = (operator: Operator.MapOperator) =>
  Effect.gen(function* () {
    const given = { config: { batch_size: 4 }, artifacts: { model } }
    const call = yield* operator.body.open(yield* contextOf(operator, given))
    return (batch: Batch) => Effect.map(call(batch), ({ columns }) => columns)
  })
type Opener = typeof opener

describe("the image tower", () => {
  const alone = (operator: Operator.MapOperator, columns: Parameters<typeof rowsOf>[0]) =>
    together((open) => Effect.flatMap(open(operator), (run) => run(rowsOf(columns))))

  it("runs once for each micro-batch that ITC, ITM and captioning see, and all is as it is apart", async () => {
    const { result, runs } = await together((open) =>
      Effect.gen(function* () {
        const [encode, caption, match] = [yield* open(ImageEncoder), yield* open(Captioner), yield* open(ITM)]
        const [embed, compare] = [yield* open(TextEncoderOperator), yield* open(ITC)]
        const { image_embeds, image_tokens } = yield* encode(rowsOf({ image }))
        const { text_embeds } = yield* embed(rowsOf({ text }))
        const { itc_score } = yield* compare(rowsOf({ image_embeds: image_embeds!, text_embeds: text_embeds! }))
        const { match_probability } = yield* match(rowsOf({ image_tokens: image_tokens!, text }))
        const { caption: captions } = yield* caption(rowsOf({ image }))
        return { image_embeds, image_tokens, itc_score, match_probability, captions }
      })
    )
    expect(runs["image tower"]).toBe(3)
    expect(runs["Captioner prefill"]).toBe(3)
    expect(Object.keys(runs).filter((name) => name.startsWith("ImageEncoder"))).toEqual([])
    const [encoded, captioned] = [await alone(ImageEncoder, { image }), await alone(Captioner, { image })]
    expect(encoded.runs["image tower"]).toBe(3)
    expect(captioned.runs["image tower"]).toBe(3)
    for (const column of ["image_embeds", "image_tokens"] as const)
      expect(floatsOf(result[column]!)).toEqual(floatsOf(encoded.result[column]!))
    expect(textsOf(result.captions!)).toEqual(textsOf(captioned.result["caption"]!))
  })
})
