/**
 * Captions, token by token: the host's half of decoding. The device's half is `BlipModel.decodeStep`.
 *
 *   cross_keys, cross_values [L, B, H, N, d] of B images   ->   B rows of token ids
 *
 * `decoding` is a coroutine: it yields the inputs of a step, is resumed with the step's outputs, and returns the captions. So
 * the same loop is driven by promises (`generate`) or by whatever else runs programs. Every row draws from its own stream of
 * random numbers, one per position, so a caption doesn't depend on the rows beside it.
 */
import { uniformAt, type RandomKey } from "../Random.ts"
import { emptyCache, visibleBefore, writePosition, type HostArray, type HostCache } from "./HostCache.ts"
import { logProbability, nextToken, penalizeRepetition, type Method } from "./NextToken.ts"

export interface GenerateOptions {
  readonly cross_keys: HostArray
  readonly cross_values: HostArray
  /** First tokens of every row: [DEC], then the prompt without [CLS] and [SEP]. */
  readonly prompt_ids: ReadonlyArray<number>
  readonly method: Method
  /** One per row; nucleus only. */
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

export interface StepInputs {
  /** [B, 1] */
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
  /** [B, V] */
  readonly logits: Float32Array
  /** [L, B, H, 1, d] each */
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

interface Row {
  readonly ids: Array<number>
  ended: boolean
  log_probability: number
}

const check = (options: GenerateOptions, num_rows: number): void => {
  const { prompt_ids, max_length, method, keys } = options
  if (prompt_ids.length === 0) throw new Error("prompt_ids: expected at least the start token")
  if (prompt_ids.length >= max_length)
    throw new Error(`max_length: expected more than the prompt's ${prompt_ids.length} tokens, got ${max_length}`)
  if (method.method === "nucleus" && !(method.top_p > 0 && method.top_p <= 1))
    throw new Error(`top_p: expected a number above 0 and at most 1, got ${method.top_p}`)
  if (method.method === "nucleus" && keys?.length !== num_rows)
    throw new Error(`keys: expected one for each of ${num_rows} rows, got ${keys?.length ?? 0}`)
}

/** Appends the token that follows, chosen from a row's logits. */
const extend = (row: Row, logits: Float32Array, options: GenerateOptions, key: RandomKey | undefined): void => {
  const { method, repetition_penalty = 1, min_length = 0, end } = options
  const changed = Float32Array.from(logits)
  if (repetition_penalty !== 1) penalizeRepetition(changed, row.ids, repetition_penalty)
  if (row.ids.length < min_length) changed[end] = -Infinity
  const id = nextToken(changed, method, key === undefined ? 0 : uniformAt(key, row.ids.length))
  row.log_probability += logProbability(logits, id)
  row.ids.push(id)
  row.ended = id === end
}

const stepInputs = (
  options: GenerateOptions,
  rows: ReadonlyArray<Row>,
  cache: HostCache,
  position: number
): StepInputs => ({
  input_ids: Int32Array.from(rows, (row) => row.ids[position] ?? options.pad),
  position,
  visible: visibleBefore(position, options.max_length),
  ...cache,
  cross_keys: options.cross_keys,
  cross_values: options.cross_values
})

/** Yields a step's inputs, takes its outputs, returns the captions. Stops when every row has ended. */
export function* decoding(options: GenerateOptions): Generator<StepInputs, ReadonlyArray<Caption>, StepOutputs> {
  const cache = emptyCache(options.cross_keys.shape, options.max_length)
  const num_rows = options.cross_keys.shape[1]!
  check(options, num_rows)
  const rows: ReadonlyArray<Row> = Array.from({ length: num_rows }, () => ({
    ids: [...options.prompt_ids],
    ended: false,
    log_probability: 0
  }))
  for (let position = 0; position < options.max_length - 1 && !rows.every((row) => row.ended); position++) {
    const { logits, keys, values } = yield stepInputs(options, rows, cache, position)
    writePosition(cache.self_keys, keys, position)
    writePosition(cache.self_values, values, position)
    if (position < options.prompt_ids.length - 1) continue
    const V = logits.length / num_rows
    rows.forEach((row, i) => {
      if (!row.ended) extend(row, logits.subarray(i * V, (i + 1) * V), options, options.keys?.[i])
    })
  }
  return rows
}

/** Drives `decoding` with an asynchronous step. */
export const generate = async (
  options: GenerateOptions,
  step: (inputs: StepInputs) => Promise<StepOutputs>
): Promise<ReadonlyArray<Caption>> => {
  const steps = decoding(options)
  let at = steps.next()
  while (at.done !== true) at = steps.next(await step(at.value))
  return at.value
}
