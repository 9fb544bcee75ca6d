/** From image files and texts to scores and captions, against transformers' BLIP on the same files (test/parity). */
import { floatsOf, imageColumn, textColumn, textsOf } from "@bootlace/data"
import type { Batch, Operator } from "@bootlace/graph"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { Captioner } from "../src/Captioner.ts"
import { ImageEncoder } from "../src/ImageEncoder.ts"
import { ITC } from "../src/ITC.ts"
import { ITM } from "../src/ITM.ts"
import { LMDecoder } from "../src/LMDecoder.ts"
import { TextEncoder as TextEncoderOperator } from "../src/TextEncoder.ts"
import { contextOf, rowsOf, runIn } from "./inMemory.ts"
import {
  blipOfCase as modelOf,
  bytesOfCase as read,
  readCase as json,
  tensorsOfCase as tensorsOf
} from "./parityCase.ts"
import { onnx } from "./tinyPairs.ts"

const files = [
  "exif6_48x70.jpg",
  "gray_45x31.png",
  "gray_61x83.jpg",
  "graya_33x47.png",
  "large_121x183.png",
  "palette_50x60.png"
]
/** The fixtures resize palette and alpha images before they become RGB; here, as in transformers, it is the other way round. */
const compared = [0, 1, 2, 4]
const texts = [0, 1, 4, 5, 8, 20].map((index) => json("texts.json")[index] as string)
const image = imageColumn(files.map((path) => ({ bytes: read(`images/${path}`), path })))
const text = textColumn(texts)
/** JPEG decoders differ by two grey levels, so rows of JPEG images are compared loosely. */
const tolerance = (row: number): number => (files[row]!.endsWith(".png") ? 1e-4 : 2e-2)

const model = await modelOf("blip_itm")
const expected = await tensorsOf("blip_itm/expected_forward.safetensors")

const run = (operator: Operator.MapOperator, batch: Batch, config: object = {}, given = model) =>
  runIn(
    { layer: onnx },
    Effect.gen(function* () {
      const context = yield* contextOf(operator, { config: { batch_size: 6, ...config }, artifacts: { model: given } })
      const body = yield* operator.body.open(context)
      return yield* body(batch)
    })
  )

const expectRows = (got: Float32Array, wanted: Float32Array): void => {
  const width = wanted.length / files.length
  expect(got.length).toBe(wanted.length)
  for (const row of compared) {
    for (let i = row * width; i < (row + 1) * width; i++) {
      expect(Math.abs(got[i]! - wanted[i]!)).toBeLessThan(tolerance(row))
    }
  }
}

describe("the operators of BLIP", async () => {
  const images = (await run(ImageEncoder, rowsOf({ image }))).columns
  const embeds = (await run(TextEncoderOperator, rowsOf({ text }))).columns

  it("embed images and texts as transformers does", () => {
    expectRows(floatsOf(images["image_embeds"]!), expected["image_feat"]!)
    expectRows(floatsOf(embeds["text_embeds"]!), expected["text_feat"]!)
  })

  it("give ITC's cosine", async () => {
    const batch = rowsOf({ image_embeds: images["image_embeds"]!, text_embeds: embeds["text_embeds"]! })
    const pairs = Float32Array.from({ length: 6 }, (_, row) => expected["itc_score"]![row * 7]!)
    expectRows(floatsOf((await run(ITC, batch)).columns["itc_score"]!), pairs)
  })

  it("give ITM's probability with [ENC] first", async () => {
    const batch = rowsOf({ image_tokens: images["image_tokens"]!, text })
    const logits = expected["itm_logits_enc"]!
    const wanted = Float32Array.from(
      { length: 6 },
      (_, row) => 1 / (1 + Math.exp(logits[row * 2]! - logits[row * 2 + 1]!))
    )
    expectRows(floatsOf((await run(ITM, batch)).columns["match_probability"]!), wanted)
  })

  it("give the mean log-likelihood of a caption's tokens", async () => {
    const captioner = await modelOf("blip_caption")
    const lm = await tensorsOf("blip_caption/expected_lm.safetensors")
    const { image_tokens } = (await run(ImageEncoder, rowsOf({ image }), {}, captioner)).columns
    const { columns } = await run(LMDecoder, rowsOf({ image_tokens: image_tokens!, text }), {}, captioner)
    const wanted = Float32Array.from(texts, (_, row) => {
      const tokens = lm["attention_mask"]!.subarray(row * 30, row * 30 + 30).filter((mask) => mask === 1).length - 1
      const terms = lm["token_logprobs"]!.subarray(row * 29, row * 29 + tokens)
      return terms.reduce((sum, term) => sum + term, 0) / tokens
    })
    expectRows(floatsOf(columns["caption_log_likelihood"]!), wanted)
  })

  it("leave a prompt's tokens out of it", async () => {
    const captioner = await modelOf("blip_caption")
    const lm = await tensorsOf("blip_caption/expected_lm.safetensors")
    const { image_tokens } = (await run(ImageEncoder, rowsOf({ image }), {}, captioner)).columns
    const prompt = "a photo of"
    const prompted = texts.map((each) => /^a photo of /i.test(each))
    expect(prompted.filter(Boolean).length).toBeGreaterThan(1)
    const rest = textColumn(texts.map((each) => each.replace(/^a photo of /i, "")))
    const { columns } = await run(LMDecoder, rowsOf({ image_tokens: image_tokens!, text: rest }), { prompt }, captioner)
    const found = floatsOf(columns["caption_log_likelihood"]!)
    for (const [row, isPrompted] of prompted.entries()) {
      if (!isPrompted) continue
      const tokens = lm["attention_mask"]!.subarray(row * 30, row * 30 + 30).filter((mask) => mask === 1).length - 1
      const terms = lm["token_logprobs"]!.subarray(row * 29 + 3, row * 29 + tokens)
      expect(found[row]).toBeCloseTo(terms.reduce((sum, term) => sum + term, 0) / terms.length, 3)
    }
  })

  const generated = json("blip_caption/expected_generate.json")
  it.each([
    ["greedy.noprompt", { method: "greedy" }],
    ["greedy_minlen8.noprompt", { method: "greedy", min_length: 8 }],
    ["greedy_rep11.noprompt", { method: "greedy", repetition_penalty: 1.1 }],
    ["beam3.noprompt", { method: "beam", num_beams: 3 }],
    ["greedy.prompt", { method: "greedy" }],
    ["beam3_min5.prompt", { method: "beam", num_beams: 3, min_length: 5 }]
  ])("write the captions that transformers' generate writes: %s", async (setting, decode) => {
    const prompt = setting.endsWith(".prompt") ? { prompt: "a photo of" } : {}
    const wanted: ReadonlyArray<string> = generated[setting].text.map((each: string) =>
      each.replace(/^a photo of ?/, "")
    )
    const config = { ...prompt, decode: { min_length: 0, ...decode, max_length: 20 } }
    const { columns, rejected } = await run(Captioner, rowsOf({ image }), config, await modelOf("blip_caption"))
    const captions = [...textsOf(columns["caption"]!)]
    for (const { row, code } of rejected) {
      expect(code).toBe("R209")
      captions.splice(row, 0, "")
    }
    for (const row of compared) expect(captions[row]).toBe(wanted[row])
  })
})
