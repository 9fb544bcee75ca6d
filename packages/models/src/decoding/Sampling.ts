/**
 * Greedy and nucleus decoding. Every row draws from its own stream of random numbers, by position and attempt, so a caption doesn't
 * depend on the rows beside it.
 */
import { uniformAt, type RandomKey } from "../Random.ts"
import { logitsOf, promptSlots, rowOf, stepInputs } from "./Decoding.ts"
import type { Decoding, GenerateOptions, StepOutputs } from "./Decoding.ts"
import { staying } from "./Leaving.ts"
import { allowed, changeLogits, nextToken, type Greedy, type Nucleus } from "./NextToken.ts"

type Options = GenerateOptions<Greedy | Nucleus>

interface Sampled {
  readonly ids: Array<number>
  readonly slots: Array<number>
  readonly key: RandomKey | undefined
  ended: boolean
  log_probability: number
}

/** More than any row's length: each attempt of each position has a number of its own. */
const attemptStride = 2 ** 32

interface Chosen {
  readonly id: number
  readonly log_probability: number
}

/** The token that follows, chosen from a row's logits. */
const chosen = (row: Sampled, logits: Float32Array, log_total: number, options: Options, weights: Float64Array) => {
  const before = changeLogits(logits, row.ids, options)
  const uniformOf = (attempt: number): number => uniformAt(row.key!, row.ids.length + attempt * attemptStride)
  const id = nextToken(logits, options.method, uniformOf, weights)
  return { id, log_probability: (before.get(id) ?? logits[id]!) - log_total }
}

/** Each row's, chosen one after the other in one array of weights. */
const followingOf = (outputs: StepOutputs, num_rows: number, options: Options) => {
  if ("ids" in outputs)
    return (row: Sampled, place: number): Chosen => allowed(rowOf(outputs, place, num_rows), row.ids, options)[0]!
  const weights = new Float64Array(outputs.logits.length / num_rows)
  return (row: Sampled, place: number): Chosen => {
    const { logits, log_total } = logitsOf(outputs, place, num_rows)
    return chosen(row, logits, log_total, options, weights)
  }
}

const extend = (row: Sampled, { id, log_probability }: Chosen, { end }: Options): void => {
  row.log_probability += log_probability
  row.ids.push(id)
  row.ended = id === end
}

/** Stops when every row has ended. */
export function* sampling(options: Options, first: StepOutputs): Decoding {
  const { num_images, prompt_ids, max_length } = options
  const rows: ReadonlyArray<Sampled> = Array.from({ length: num_images }, (_, i) => ({
    ids: [...prompt_ids],
    slots: [...promptSlots(options)],
    key: options.keys?.[i],
    ended: false,
    log_probability: 0
  }))
  let left = rows
  const extendAll = (outputs: StepOutputs): void => {
    const following = followingOf(outputs, left.length, options)
    left.forEach((row, place) => {
      if (!row.ended) extend(row, following(row, place), options)
    })
  }
  extendAll(first)
  for (let position = prompt_ids.length; position < max_length - 1 && !left.every((row) => row.ended); position++) {
    const images = staying(left.map((row) => !row.ended))
    if (images !== undefined) left = images.map((place) => left[place]!)
    const outputs = yield stepInputs(options, left, 1, position, images)
    for (const row of left) row.slots.push(position)
    extendAll(outputs)
  }
  return rows.map(({ ids, ended, log_probability }) => ({ ids, ended, log_probability }))
}
