/** Train where several rows show the same image: `same_image` of ITC and ITM. The losses are compared with PyTorch's in test/parity. */
import { imageColumn, sha256, textColumn } from "@bootlace/data"
import type { HostTensor } from "@bootlace/engine"
import type { Files } from "@bootlace/graph"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { Train } from "../src/Train.ts"
import { readModel } from "../src/tensor/ModelArtifact.ts"
import { decodeTensors } from "../src/tensor/TensorFile.ts"
import { composeTraining, livingGraph } from "../src/tensor/TrainingProgram.ts"
import { filesFingerprint, rowsOf } from "./inMemory.ts"
import { images, newModel, texts } from "./tinyPairs.ts"
import { history, train } from "./tinyTraining.ts"
import { trainingGraph } from "./trainingGraph.ts"

const blip = await newModel("blip")

/** Four captions an image. */
const captioned = (num_images: number) =>
  rowsOf({
    image: imageColumn(Array.from({ length: 4 * num_images }, (_, row) => images[row % num_images]!)),
    text: textColumn(Array.from({ length: 4 * num_images }, (_, row) => texts[row]!))
  })

const filter = (itc: object = {}, itm: object = {}) => ({ objectives: { itc, itm }, batch_size: 8, steps: 3 })
/** Without, rows of one image have the same embedding, and ITC over a batch is the same number by either targets. */
const augment = { random_resized_crop: { scale: [0.3, 0.6] } }
const negative = { same_image: "negative" } as const

const stateOf = (files: Files, name: string): HostTensor | undefined =>
  decodeTensors(files["training.safetensors"]!, "checkpoint")[`state/itc.${name}`]

const idOf = (image: { readonly bytes: Uint8Array }): string => {
  const digest = BigInt(`0x${sha256(image.bytes)}`)
  return `${(digest >> 232n) & 0xffffffn} ${(digest >> 208n) & 0xffffffn}`
}

const idsIn = ({ data }: HostTensor): ReadonlyArray<string> =>
  Array.from({ length: data.length / 2 }, (_, row) => `${data[2 * row]} ${data[2 * row + 1]}`)

describe("same_image", () => {
  it.each([
    [["itc", "itm"], "positive", "positive"],
    [["itm"], undefined, "positive"],
    [["itc"], undefined, undefined],
    [["itc", "itm", "lm"], undefined, undefined],
    [{ itc: negative, itm: {} }, "negative", "positive"],
    [{ itc: {}, itm: {}, lm: {} }, undefined, undefined],
    [{ itc: { same_image: "positive" }, lm: {} }, "positive", undefined]
  ])("of %o is %s for ITC and %s for ITM", async (objectives, itc, itm) => {
    const { graph } = await trainingGraph({ objectives, steps: 1 })
    const said = (id: string) => graph.nodes.find((node) => node.id === id)?.config
    expect((said("itc") as { same_image?: string }).same_image).toBe(itc)
    expect((said("itm") as { same_image?: string } | undefined)?.same_image).toBe(itm)
  })

  it("changes no byte where every row has an image of its own", async () => {
    const positive = await train(blip, filter())
    const other = await train(blip, filter(negative, negative))
    expect(filesFingerprint(positive.files)).toEqual(filesFingerprint(other.files))
  })

  it("makes other captions of an image right for it, each objective by itself", async () => {
    const first = async (itc: object, itm: object) =>
      history((await train(blip, { ...filter(itc, itm), augment, steps: 1 }, { rows: captioned(3) })).files)[0]!
    const [both, itc, itm, none] = [
      await first({}, {}),
      await first({}, negative),
      await first(negative, {}),
      await first(negative, negative)
    ]
    expect(both["itc_loss"]).toBe(itc["itc_loss"])
    expect(both["itm_loss"]).toBe(itm["itm_loss"])
    expect(none["itc_loss"]).toBe(itm["itc_loss"])
    expect(none["itm_loss"]).toBe(itc["itm_loss"])
    for (const loss of ["itc_loss", "itm_loss"]) expect(Math.abs(both[loss]! - none[loss]!)).toBeGreaterThan(1e-4)
    expect(both["image_accuracy"]).toBeGreaterThanOrEqual(none["image_accuracy"]!)
  })

  it("keeps the queued features' images, around the end", async () => {
    const { saved } = await train(blip, filter({ queue_size: 12 }), { rows: captioned(5), save: true })
    const [start, one, two] = saved.map((files) => idsIn(stateOf(files, "idx_queue")!))
    const known = images.slice(0, 5).map(idOf)
    expect(start).toEqual(Array(12).fill("-100 -100"))
    expect(one!.slice(8)).toEqual(Array(4).fill("-100 -100"))
    for (const id of [...one!.slice(0, 8), ...two!]) expect(known).toContain(id)
    expect(new Set(two).size).toBe(5)
    expect(two!.slice(4, 8)).toEqual(one!.slice(4, 8))
  })

  it("has no such queue without queues or for negatives", async () => {
    const { saved } = await train(blip, filter({ queue_size: 0 }), { save: true })
    expect(stateOf(saved[1]!, "idx_queue")).toBeUndefined()
    const { saved: plain } = await train(blip, filter(negative), { save: true })
    expect(stateOf(plain[1]!, "image_queue")).toBeDefined()
    expect(stateOf(plain[1]!, "idx_queue")).toBeUndefined()
  })

  it("goes on from a checkpoint with the same bytes", async () => {
    const config = { ...filter({ queue_size: 20 }), steps: 5, augment }
    const whole = await train(blip, config, { rows: captioned(4) })
    const resumed = await train(blip, config, { rows: captioned(4), stopAt: 3 })
    expect(filesFingerprint(resumed.files)).toEqual(filesFingerprint(whole.files))
  })

  it("stops at a batch of one image, which has no negative for ITM", async () => {
    const one = { rows: captioned(1) }
    await expect(train(blip, filter(), one)).rejects.toThrow(
      /R305.*step 0: all 8 rows show the same image, so none is a negative of another/
    )
    const { metrics } = await train(blip, filter({}, negative), one)
    expect(metrics["steps"]).toBe(3)
  })

  it("serves CLIP where it is asked for", async () => {
    const config = { objectives: { itc: { same_image: "positive" } }, batch_size: 8, steps: 1, augment }
    const clip = await newModel("clip")
    const [own] = history((await train(clip, config, { rows: captioned(2) })).files)
    const [plain] = history((await train(clip, { ...config, objectives: ["itc"] }, { rows: captioned(2) })).files)
    expect(Math.abs(own!["itc_loss"]! - plain!["itc_loss"]!)).toBeGreaterThan(1e-4)
  })

  it("is refused where it can't be", async () => {
    const positive = { same_image: "positive" }
    const siglip = await newModel("siglip")
    await expect(train(siglip, { objectives: { itc: positive }, batch_size: 8, steps: 1 })).rejects.toThrow(
      /R208.*same_image: positive goes with loss: softmax/
    )
    const { graph } = await trainingGraph({ objectives: { itc: { ...positive, twin: false } } })
    const micro = { batch_size: 8, micro_batch_size: 4, steps: 1 } as never
    expect(Train.check!(micro, {}, { graph, architecture: "blip" })).toMatchObject([
      { path: ["micro_batch_size"], message: expect.stringContaining("`same_image: positive` sees whole batches") }
    ])
  })

  it("goes by the images behind the embeddings", async () => {
    const { graph } = await trainingGraph({ objectives: ["itc", "itm"], steps: 1 })
    const withoutImage = graph.nodes.map((node) =>
      node.id === "itc" ? { ...node, inputs: { ...node.inputs, image_embeds: node.inputs["text_embeds"]! } } : node
    )
    const living = await Effect.runPromise(livingGraph({ ...graph, nodes: withoutImage }))
    const opened = await Effect.runPromise(readModel("test", blip))
    expect(() => composeTraining("Train", living, opened, 8)).toThrow(
      "itc: same_image: positive goes by images, but no image is behind its image_embeds"
    )
  })
})
