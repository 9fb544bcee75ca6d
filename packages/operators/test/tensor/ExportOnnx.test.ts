/** The ONNX files, run by ONNX Runtime at sizes that no capture had, against what PyTorch gave for the parity cases. */
import { Files } from "@bootlace/data"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as ort from "onnxruntime-node"
import { describe, expect, it } from "vitest"
import { readCheckpointFolder } from "../../src/tensor/CheckpointFolder.ts"
import { onnxModels } from "../../src/tensor/ExportOnnx.ts"

const parity = new URL("../../../../test/parity/", import.meta.url).pathname

interface Stored {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array | BigInt64Array
}

/** Tensors as PyTorch stored them, F32 or I64. */
const stored = (path: string): Readonly<Record<string, Stored>> => {
  const bytes = readFileSync(join(parity, path))
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, start).toString()) as Readonly<
    Record<string, { dtype: string; shape: ReadonlyArray<number>; data_offsets: readonly [number, number] }>
  >
  const entries = Object.entries(header).filter(([, { dtype }]) => dtype === "F32" || dtype === "I64")
  return Object.fromEntries(
    entries.map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to]
        }
      ]) => {
        const { buffer } = new Uint8Array(bytes.subarray(start + from, start + to))
        return [name, { shape, data: dtype === "I64" ? new BigInt64Array(buffer) : new Float32Array(buffer) }]
      }
    )
  )
}

const tensorOf = ({ data, shape }: Stored): ort.Tensor =>
  data instanceof Float32Array ? new ort.Tensor("float32", data, shape) : new ort.Tensor("int64", data, shape)

/** The first rows, and of them the first columns. */
const part = ({ data, shape }: Stored, rows: number, columns = shape[1]!): Stored => {
  const width = shape.slice(2).reduce((size, side) => size * side, 1)
  const pieces = Array.from({ length: rows }, (_, row) =>
    data.slice(row * shape[1]! * width, (row * shape[1]! + columns) * width)
  )
  const flat = pieces.flatMap((piece) => [...(piece as unknown as Iterable<number>)])
  const out = data instanceof Float32Array ? Float32Array.from(flat) : BigInt64Array.from(flat as unknown as bigint[])
  return { shape: [rows, columns, ...shape.slice(2)], data: out }
}

const exported = async (name: string) => {
  const read = await Effect.runPromise(Effect.provide(readCheckpointFolder(join(parity, name)), Files.layer))
  const models = onnxModels(read.model, read.weights)
  return async (file: string, inputs: Readonly<Record<string, Stored>>) => {
    const session = await ort.InferenceSession.create(models[file]!, { logSeverityLevel: 3 })
    const feeds = Object.fromEntries(session.inputNames.map((each) => [each, tensorOf(inputs[each]!)]))
    return session.run(feeds)
  }
}

/** Like the parity cases' own: float32 sums in another order. */
const close = (ours: ort.Tensor | undefined, theirs: Stored, tolerance = 2e-5): void => {
  expect(ours!.dims).toEqual(theirs.shape)
  const scale = Math.max(...(theirs.data as Float32Array).map(Math.abs))
  const worst = Math.max(...(ours!.data as Float32Array).map((value, i) => Math.abs(value - Number(theirs.data[i]))))
  expect(worst / scale).toBeLessThan(tolerance)
}

describe("onnxModels", () => {
  it.each(["clip_gelu", "clip_quickgelu", "siglip_model"])(
    "%s gives transformers' embeddings and logits",
    async (name) => {
      const run = await exported(name)
      const { pixel_values_pil: pixel_values, ...theirs } = stored(`${name}/expected_forward.safetensors`)
      const inputs = { ...theirs, pixel_values: pixel_values! }
      const whole = await run("model.onnx", inputs)
      for (const output of ["logits_per_image", "logits_per_text", "image_embeds", "text_embeds"])
        close(whole[output], theirs[output]!)
      close((await run("vision_model.onnx", inputs))["image_embeds"], theirs["image_embeds_raw"]!)
      close((await run("text_model.onnx", inputs))["text_embeds"], theirs["text_embeds_raw"]!)
      const one = { ...inputs, pixel_values: part(pixel_values!, 1) }
      close((await run("vision_model.onnx", one))["image_embeds"], part(theirs["image_embeds_raw"]!, 1))
    }
  )

  it("takes texts of any length", async () => {
    const run = await exported("clip_gelu")
    const theirs = stored("clip_gelu/expected_forward.safetensors")
    const mask = theirs["attention_mask"]!
    const length = (row: number): number =>
      Number((part(mask, row + 1).data as BigInt64Array).slice(-mask.shape[1]!).reduce((sum, bit) => sum + bit, 0n))
    const lengths = Array.from({ length: mask.shape[0]! }, (_, row) => length(row))
    const rows = lengths.findIndex((each) => each > 12)
    const cut = rows === -1 ? lengths.length : rows
    expect(cut).toBeGreaterThan(0)
    const longest = Math.max(...lengths.slice(0, cut))
    const inputs = {
      input_ids: part(theirs["input_ids"]!, cut, longest),
      attention_mask: part(mask, cut, longest)
    }
    expect(longest).toBeLessThan(mask.shape[1]!)
    close((await run("text_model.onnx", inputs))["text_embeds"], part(theirs["text_embeds_raw"]!, cut))
  })

  it("BLIP's match head and decoder read the image tokens of its vision model", async () => {
    const match = await exported("blip_itm")
    const itm = stored("blip_itm/expected_forward.safetensors")
    const seen = await match("vision_model.onnx", { pixel_values: itm["pixel_values"]! })
    close(seen["image_embeds"], itm["image_embeds_raw"]!)
    const image_tokens = { shape: seen["image_tokens"]!.dims, data: seen["image_tokens"]!.data as Float32Array }
    const text = { attention_mask: itm["attention_mask"]!, image_tokens }
    close(
      (await match("match_model.onnx", { ...text, input_ids: itm["input_ids_enc"]! }))["itm_score"],
      itm["itm_logits_enc"]!
    )
    close(
      (await match("text_model.onnx", { ...text, input_ids: itm["input_ids"]! }))["text_embeds"],
      itm["text_embeds_raw"]!
    )

    const caption = await exported("blip_caption")
    const lm = stored("blip_caption/expected_lm.safetensors")
    const pixels = await caption("vision_model.onnx", { pixel_values: part(lm["pixel_values"]!, 4) })
    const tokens = { shape: pixels["image_tokens"]!.dims, data: pixels["image_tokens"]!.data as Float32Array }
    const logits = await caption("decoder_model.onnx", {
      input_ids: part(lm["input_ids"]!, 4),
      attention_mask: part(lm["attention_mask"]!, 4),
      image_tokens: tokens
    })
    // Behind a text's end both compute what nobody reads.
    const V = lm["logits"]!.shape[2]!
    const isText = (value: number, i: number) => (lm["attention_mask"]!.data[Math.floor(i / V)] === 1n ? value : 0)
    const [ours, theirs] = [logits["logits"]!, lm["logits"]!].map(({ data }) => (data as Float32Array).map(isText))
    close(new ort.Tensor("float32", ours!, lm["logits"]!.shape), { shape: lm["logits"]!.shape, data: theirs! })
  })
})
