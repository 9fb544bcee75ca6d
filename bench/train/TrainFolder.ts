/**
 * A training on disk, read by our process and by the peers': the same weights, rows and batches on both sides.
 *
 *   tensors.json  what is where in tensors.bin, the batches as numbers of rows, and the optimiser's settings
 *   tensors.bin   weights, queues, and of N rows input_ids and attention_mask [N, T]
 *   pixels.bin    float32 [N, 3, S, S], apart so that a large batch is never in memory as a whole
 */
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import type { HostTensor, HostTensors } from "@bootlace/engine"
import { learning_rate, trainModels } from "./TrainModel.ts"
import type { TrainModel, TrainModelName } from "./TrainModel.ts"

/** Rows of one step, their texts padded to this many tokens. */
export interface BatchRows {
  readonly rows: ReadonlyArray<number>
  readonly tokens: number
}

/** The texts of all rows, [N, T] each. */
export interface TextRows {
  readonly input_ids: HostTensor
  readonly attention_mask: HostTensor
}

export interface TrainRows {
  readonly texts: TextRows
  /** Pixels of row after row; each is written as it comes. */
  readonly pixels: Iterable<Float32Array>
  /** What ours and each peer train on, in this order, by whose they are. `same` are ours. */
  readonly batches: Readonly<Record<string, ReadonlyArray<BatchRows>>>
}

interface Place {
  readonly shape: ReadonlyArray<number>
  readonly dtype: "float32" | "int32"
  readonly offset: number
  readonly bytes: number
}
type Places = Readonly<Record<string, Place>>

interface Setting {
  readonly weights: Places
  readonly state: Places
  readonly texts: Places
  readonly batches: TrainRows["batches"]
}

const sizesOf = ({ model }: TrainModel) => {
  const { vision_config, text_config } = model.config as {
    readonly vision_config: { readonly num_hidden_layers: number; readonly num_attention_heads: number }
    readonly text_config: { readonly num_hidden_layers: number; readonly num_attention_heads: number }
  }
  return { vision: vision_config, text: text_config }
}

export function writeTraining(
  folder: string,
  name: TrainModelName,
  state: HostTensors,
  { texts, pixels, batches }: TrainRows
): void {
  const made = trainModels[name]()
  const initial = made.model.init(1)
  const file = openSync(join(folder, "tensors.bin"), "w")
  let offset = 0
  const place = (tensors: HostTensors): Places =>
    Object.fromEntries(
      Object.entries(tensors).map(([tensor, { shape, dtype, data }]) => {
        writeSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
        const at = { shape, dtype: dtype as Place["dtype"], offset, bytes: data.byteLength }
        offset += data.byteLength
        return [tensor, at]
      })
    )
  const weights = Object.entries(made.model.shapes).map(
    ([weight, shape]) => [weight, { shape, dtype: "float32", data: initial[weight]! }] as const
  )
  const { betas, eps, weight_decay, clamp, momentum } = made.optimizer
  const setting = {
    weights: place(Object.fromEntries(weights)),
    state: place(state),
    texts: place({ ...texts }),
    batches,
    sizes: sizesOf(made),
    image_size: made.model.preprocess.image_size,
    ids: made.ids,
    twin: made.program.twin,
    optimizer: { betas, eps, weight_decay, clamp, momentum, lr: learning_rate }
  }
  closeSync(file)
  writeFileSync(join(folder, "tensors.json"), JSON.stringify(setting))
  const pixelFile = openSync(join(folder, "pixels.bin"), "w")
  for (const row of pixels) writeSync(pixelFile, new Uint8Array(row.buffer, row.byteOffset, row.byteLength))
  closeSync(pixelFile)
}

const readPlaces = (file: number, places: Places): HostTensors =>
  Object.fromEntries(
    Object.entries(places).map(([name, { shape, dtype, offset, bytes }]) => {
      const buffer = new ArrayBuffer(bytes)
      readSync(file, new Uint8Array(buffer), 0, bytes, offset)
      return [name, { shape, dtype, data: dtype === "int32" ? new Int32Array(buffer) : new Float32Array(buffer) }]
    })
  )

const integers = (shape: ReadonlyArray<number>, of: (index: number) => number): HostTensor => ({
  shape,
  dtype: "int32",
  data: Int32Array.from({ length: shape.reduce((size, length) => size * length, 1) }, (_, index) => of(index))
})

/** BLIP's roles of a text, negatives at fixed distances, and the weight of soft targets. */
function blipInputs(input_ids: HostTensor, { ids }: TrainModel): HostTensors {
  const [B, T] = input_ids.shape as [number, number]
  const startingWith = (token: number) =>
    integers([B, T], (index) => (index % T === 0 ? token : input_ids.data[index]!))
  return {
    encoder_ids: startingWith(ids.enc),
    decoder_ids: startingWith(ids.dec),
    neg_image_idx: integers([B], (row) => (row + 1) % B),
    neg_text_idx: integers([B], (row) => (row + 3) % B),
    alpha: { shape: [], dtype: "float32", data: Float32Array.of(0.4) }
  }
}

/** What a training starts from, and each batch as the program's inputs, read when it is asked for. */
export function readTraining(folder: string, made: TrainModel) {
  const setting = JSON.parse(readFileSync(join(folder, "tensors.json"), "utf8")) as Setting
  const file = openSync(join(folder, "tensors.bin"), "r")
  const [weights, state, texts] = [setting.weights, setting.state, setting.texts].map((places) =>
    readPlaces(file, places)
  ) as [HostTensors, HostTensors, HostTensors]
  closeSync(file)
  const pixelFile = openSync(join(folder, "pixels.bin"), "r")
  const S = made.model.preprocess.image_size
  const batchOf = ({ rows, tokens }: BatchRows): HostTensors => {
    const size = 3 * S * S
    const pixels = new Float32Array(rows.length * size)
    rows.forEach((row, i) =>
      readSync(pixelFile, new Uint8Array(pixels.buffer, i * size * 4, size * 4), 0, size * 4, row * size * 4)
    )
    const T = texts.input_ids!.shape[1]!
    const cut = (name: string) =>
      integers(
        [rows.length, tokens],
        (index) => texts[name]!.data[rows[Math.floor(index / tokens)]! * T + (index % tokens)]!
      )
    const input_ids = cut("input_ids")
    return {
      pixel_values: { shape: [rows.length, 3, S, S], dtype: "float32", data: pixels },
      input_ids,
      attention_mask: cut("attention_mask"),
      ...(made.model.architecture === "blip" && blipInputs(input_ids, made))
    }
  }
  return { weights, state, batches: setting.batches["same"]!, batchOf }
}
