import { floatsOf, imageColumn, shapeOf, sliceRows } from "@bootlace/data"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { ImageEncoder } from "../src/ImageEncoder.ts"
import { operatorContract } from "./contract.ts"
import { contextOf, rowsOf, runIn } from "./inMemory.ts"
import { eager, images, newModel, onnx } from "./tinyPairs.ts"

const clip = await newModel("clip")
const blip = await newModel("blip")
const siglip = await newModel("siglip")
const columns = { image: imageColumn(images.slice(0, 5)) }

operatorContract(ImageEncoder, {
  config: { batch_size: 4 },
  artifacts: { model: clip },
  layer: eager,
  columns,
  nulls: {
    image: imageColumn([
      ...images.slice(0, 1),
      null,
      { bytes: new Uint8Array([1, 2, 3]), path: "broken.png" },
      ...images.slice(1, 2)
    ])
  },
  badConfigs: [
    { config: { batch_size: 1 }, names: /batch_size/ },
    { config: { normalise: false }, names: /normalise/ }
  ]
})

interface RunGiven {
  readonly model: typeof clip
  readonly config?: object
  readonly layer?: typeof eager
  readonly wanted?: ReadonlyArray<string>
}

const run = (given: RunGiven, count = 5) => {
  const all = { config: given.config ?? {}, artifacts: { model: given.model }, layer: given.layer ?? eager }
  const effect = Effect.gen(function* () {
    const context = { ...(yield* contextOf(ImageEncoder, all)), ...(given.wanted && { wanted: given.wanted }) }
    const body = yield* ImageEncoder.body.open(context as never)
    return yield* body(sliceRows(rowsOf({ image: imageColumn(images) }), 0, count))
  })
  return runIn(all, effect)
}

describe("ImageEncoder", () => {
  it.each([
    ["clip", clip],
    ["blip", blip]
  ])("gives unit-length embeddings and the tower's tokens of a %s model", async (_, model) => {
    const { columns } = await run({ model, config: { batch_size: 4 } })
    const embeds = floatsOf(columns["image_embeds"]!)
    expect(shapeOf(columns["image_embeds"]!.type)).toEqual([16])
    expect(shapeOf(columns["image_tokens"]!.type)).toEqual([5, 32])
    for (let row = 0; row < 5; row++) expect(Math.hypot(...embeds.subarray(row * 16, row * 16 + 16))).toBeCloseTo(1, 6)
  })

  it.each([
    ["clip", clip],
    ["blip", blip],
    ["siglip", siglip]
  ])("gives the same embeddings of a %s model where nobody wants its tokens", async (_, model) => {
    const whole = await run({ model, layer: onnx })
    const { columns } = await run({ model, layer: onnx, wanted: ["image_embeds"] })
    expect(Object.keys(columns)).toEqual(["image_embeds"])
    expect(floatsOf(columns["image_embeds"]!)).toEqual(floatsOf(whole.columns["image_embeds"]!))
  })

  it("leaves lengths alone where `normalize` is false", async () => {
    const raw = floatsOf((await run({ model: clip, config: { normalize: false } })).columns["image_embeds"]!)
    const unit = floatsOf((await run({ model: clip })).columns["image_embeds"]!)
    const length = Math.hypot(...raw.subarray(0, 16))
    expect(length).not.toBeCloseTo(1, 2)
    raw.subarray(0, 16).forEach((value, i) => expect(value / length).toBeCloseTo(unit[i]!, 5))
  })

  it("gives a row the same bytes in a full micro-batch and in a padded one", async () => {
    const both = await Promise.all([
      run({ model: clip, layer: onnx, config: { batch_size: 4 } }, 4),
      run({ model: clip, layer: onnx, config: { batch_size: 4 } }, 6)
    ])
    const [four, six] = both.map(({ columns }) => floatsOf(columns["image_embeds"]!))
    expect(six!.subarray(0, 64)).toEqual(four)
  })

  it("refuses a model of another architecture by name", async () => {
    const { ITM } = await import("../src/ITM.ts")
    const given = { artifacts: { model: clip }, layer: eager }
    const opened = Effect.flatMap(contextOf(ITM, given), (context) => ITM.body.open(context as never))
    const error = await runIn(given, Effect.flip(opened))
    expect(error.message).toContain("ITM needs a blip model, got a clip model")
  })
})
