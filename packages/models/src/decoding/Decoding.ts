/** What the strategies of decoding have in common: their options, and the step that a device does for them. */
import { MASKED } from "../Layers.ts"
import type { RandomKey } from "../Random.ts"
import type { Greedy, Nucleus } from "./NextToken.ts"

/** The rows of highest probability found by keeping the `num_beams` best beginnings. */
export interface Beam {
  readonly method: "beam"
  /** 3 in BLIP's evaluation. */
  readonly num_beams: number
  /** A finished row's log-probability is divided by its length to this power; default 1. */
  readonly length_penalty?: number
  /** true: stop at `num_beams` finished rows. false, the default: when no running row can still win. */
  readonly early_stopping?: boolean
}

export type Method = Greedy | Nucleus | Beam

export interface GenerateOptions<M extends Method = Method> {
  readonly num_images: number
  /** First tokens of every row: [DEC], then the prompt without [CLS] and [SEP]. */
  readonly prompt_ids: ReadonlyArray<number>
  readonly method: M
  /** One per image; nucleus only. */
  readonly keys?: ReadonlyArray<RandomKey>
  /** Tokens of a row at most, prompt and [SEP] included. */
  readonly max_length: number
  /** [SEP] is forbidden while a row has fewer tokens; prompt included. Default 0. */
  readonly min_length?: number
  /** Above 1 makes tokens of the row less likely; default 1. BLIP samples with 1.1. */
  readonly repetition_penalty?: number
  /** [SEP], which ends a caption, and [PAD], which rows that have ended are fed. */
  readonly end: number
  readonly pad: number
}

/**
 * One step of B images with k rows each: one, or the beams. The device keeps the keys and values of earlier tokens in k T_max slots an image,
 * those of the prompt in the first ones, and those of B images from the prompt on.
 */
export interface StepInputs {
  /** Of the images in the step before, those that go on, by place; the caches lose the others. Absent: all of them. */
  readonly images?: ReadonlyArray<number>
  /** [B, k] */
  readonly input_ids: Int32Array
  readonly rows_per_image: number
  /** Of the tokens in `input_ids`, from 0. */
  readonly position: number
  /** [B, k, k T_max]: 0 for the slots of the tokens that stand before in the row, MASKED for all others. */
  readonly visible: Float32Array
  /** [k]: the slots that these tokens' keys and values go to, in each image. */
  readonly slots: Int32Array
}

/** All tokens that may follow. */
export interface AllTokens {
  /** [B k, V]; they may be written over. */
  readonly logits: Float32Array
  /** [B k]: natural log of the sum of the exponentials of each row's logits. */
  readonly log_totals: Float32Array
}

/** Each row's likeliest tokens, `numLikeliest` or all that there are: [B k, n], the likeliest first, of equals the smaller id. */
export interface LikeliestTokens {
  readonly ids: Int32Array
  readonly log_probabilities: Float32Array
}

/** Of one of `num_rows` rows. */
export const logitsOf = ({ logits, log_totals }: AllTokens, row: number, num_rows: number) => {
  const V = logits.length / num_rows
  return { logits: logits.subarray(row * V, (row + 1) * V), log_total: log_totals[row]! }
}

export const rowOf = ({ ids, log_probabilities }: LikeliestTokens, row: number, num_rows: number): LikeliestTokens => {
  const n = ids.length / num_rows
  const [from, to] = [row * n, (row + 1) * n]
  return { ids: ids.subarray(from, to), log_probabilities: log_probabilities.subarray(from, to) }
}

export type StepOutputs = AllTokens | LikeliestTokens

/**
 * How many of each row's likeliest tokens a decoding looks at, one of which may be forbidden; undefined: at all of them. A penalty can bring
 * any token forward or back, and a draw needs the whole distribution.
 */
export const numLikeliest = ({
  method,
  repetition_penalty = 1
}: Pick<GenerateOptions, "method" | "repetition_penalty">): number | undefined => {
  if (repetition_penalty !== 1 || method.method === "nucleus") return undefined
  return method.method === "beam" ? 2 * method.num_beams + 1 : 2
}

export interface Caption {
  /** Prompt, tokens, and [SEP] where the caption ended by itself. */
  readonly ids: ReadonlyArray<number>
  readonly ended: boolean
  /** Sum over the tokens behind the prompt, in nats, by the model's untouched logits. */
  readonly log_probability: number
}

/** A decoding behind its prompt: yields a step's inputs, is resumed with its outputs, returns one caption per image. */
export type Decoding = Generator<StepInputs, ReadonlyArray<Caption>, StepOutputs>

/** A row under way. */
export interface Row {
  readonly ids: ReadonlyArray<number>
  /** The slots of its tokens before the one that is fed. */
  readonly slots: ReadonlyArray<number>
}

/** The slots of the prompt's tokens in each image. Its rows begin alike, so they share them. */
export const promptSlots = ({ prompt_ids }: GenerateOptions): ReadonlyArray<number> => [...prompt_ids.keys()]

/** The step that feeds the rows' tokens at `position`, k rows an image, which row j of an image keeps in slot j T_max + position. */
export const stepInputs = (
  { max_length, pad }: GenerateOptions,
  rows: ReadonlyArray<Row>,
  rows_per_image: number,
  position: number,
  images: ReadonlyArray<number> | undefined
): StepInputs => {
  const num_slots = rows_per_image * max_length
  const visible = new Float32Array(rows.length * num_slots).fill(MASKED)
  rows.forEach(({ slots }, row) => slots.forEach((slot) => (visible[row * num_slots + slot] = 0)))
  return {
    ...(images === undefined ? {} : { images }),
    input_ids: Int32Array.from(rows, ({ ids }) => ids[position] ?? pad),
    rows_per_image,
    position,
    visible,
    slots: Int32Array.from({ length: rows_per_image }, (_, j) => j * max_length + position)
  }
}
