/** What the strategies of decoding have in common: their options, and the step that a device does for them. */
import type { RandomKey } from "../Random.ts"
import { visibleBefore, type HostArray, type HostCache } from "./HostCache.ts"
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
  /** Keys and values that cross-attention reads of B images, [L, B, H, N, d]: `BlipModel.crossCache`. */
  readonly cross_keys: HostArray
  readonly cross_values: HostArray
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

/** One step of R rows: B of them, or B * num_beams with the beams of an image side by side. */
export interface StepInputs {
  /** [R, 1] */
  readonly input_ids: Int32Array
  /** Of the tokens in `input_ids`, from 0. */
  readonly position: number
  /** [T_max], T_max = max_length. */
  readonly visible: Float32Array
  readonly self_keys: HostArray
  readonly self_values: HostArray
  readonly cross_keys: HostArray
  readonly cross_values: HostArray
}

export interface StepOutputs {
  /** [R, V] */
  readonly logits: Float32Array
  /** [L, R, H, 1, d] each */
  readonly keys: Float32Array
  readonly values: Float32Array
}

export interface Caption {
  /** Prompt, tokens, and [SEP] where the caption ended by itself. */
  readonly ids: ReadonlyArray<number>
  readonly ended: boolean
  /** Sum over the tokens behind the prompt, in nats, by the model's untouched logits. */
  readonly log_probability: number
}

/** A decoding under way: yields a step's inputs, is resumed with its outputs, returns one caption per image. */
export type Decoding = Generator<StepInputs, ReadonlyArray<Caption>, StepOutputs>

export const stepInputs = (
  options: GenerateOptions,
  rows: ReadonlyArray<{ readonly ids: ReadonlyArray<number> }>,
  cache: HostCache,
  position: number
): StepInputs => ({
  input_ids: Int32Array.from(rows, (row) => row.ids[position] ?? options.pad),
  position,
  visible: visibleBefore(position, options.max_length),
  ...cache
})
