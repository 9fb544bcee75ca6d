/**
 * Greedy and nucleus decoding. Every row draws from its own stream of random numbers, one per position, so a caption doesn't
 * depend on the rows beside it.
 */
import { uniformAt, type RandomKey } from "../Random.ts"
import { stepInputs, type Decoding, type GenerateOptions } from "./Decoding.ts"
import { staying } from "./Leaving.ts"
import { changedTotal, changeLogits, nextToken, type Greedy, type Nucleus } from "./NextToken.ts"

type Options = GenerateOptions<Greedy | Nucleus>

interface Sampled {
  readonly ids: Array<number>
  readonly slots: Array<number>
  readonly key: RandomKey | undefined
  ended: boolean
  log_probability: number
}

/** Appends the token that follows, chosen from a row's logits. */
const extend = (row: Sampled, logits: Float32Array, log_total: number, options: Options): void => {
  const before = changeLogits(logits, row.ids, options)
  const total = options.method.method === "greedy" ? undefined : changedTotal(logits, before, log_total)
  const u = row.key === undefined ? 0 : uniformAt(row.key, row.ids.length)
  const id = nextToken(logits, options.method, u, total)
  row.log_probability += (before.get(id) ?? logits[id]!) - log_total
  row.ids.push(id)
  row.ended = id === options.end
}

/** Stops when every row has ended. */
export function* sampling(options: Options): Decoding {
  const { num_images, prompt_ids, max_length } = options
  const rows: ReadonlyArray<Sampled> = Array.from({ length: num_images }, (_, i) => ({
    ids: [...prompt_ids],
    slots: [],
    key: options.keys?.[i],
    ended: false,
    log_probability: 0
  }))
  let left = rows
  for (let position = 0; position < max_length - 1 && !left.every((row) => row.ended); position++) {
    const images = staying(left.map((row) => !row.ended))
    if (images !== undefined) left = images.map((place) => left[place]!)
    const { logits, log_totals } = yield stepInputs(options, left, 1, position, images)
    for (const row of left) row.slots.push(position)
    if (position < prompt_ids.length - 1) continue
    const V = logits.length / left.length
    left.forEach((row, i) => {
      if (!row.ended) extend(row, logits.subarray(i * V, (i + 1) * V), log_totals[i]!, options)
    })
  }
  return rows.map(({ ids, ended, log_probability }) => ({ ids, ended, log_probability }))
}
