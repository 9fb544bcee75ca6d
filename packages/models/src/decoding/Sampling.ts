/**
 * Greedy and nucleus decoding. Every row draws from its own stream of random numbers, one per position, so a caption doesn't
 * depend on the rows beside it.
 */
import { uniformAt, type RandomKey } from "../Random.ts"
import { stepInputs, type Decoding, type GenerateOptions } from "./Decoding.ts"
import { openCache, writePosition } from "./HostCache.ts"
import { changeLogits, logProbability, nextToken, type Greedy, type Nucleus } from "./NextToken.ts"

type Options = GenerateOptions<Greedy | Nucleus>

interface Row {
  readonly ids: Array<number>
  ended: boolean
  log_probability: number
}

/** Appends the token that follows, chosen from a row's logits. */
const extend = (row: Row, logits: Float32Array, options: Options, key: RandomKey | undefined): void => {
  const changed = changeLogits(logits, row.ids, options)
  const id = nextToken(changed, options.method, key === undefined ? 0 : uniformAt(key, row.ids.length))
  row.log_probability += logProbability(logits, id)
  row.ids.push(id)
  row.ended = id === options.end
}

/** Stops when every row has ended. */
export function* sampling(options: Options): Decoding {
  const cache = openCache(options, options.max_length, 1)
  const rows: ReadonlyArray<Row> = Array.from({ length: cache.self_keys.shape[1]! }, () => ({
    ids: [...options.prompt_ids],
    ended: false,
    log_probability: 0
  }))
  for (let position = 0; position < options.max_length - 1 && !rows.every((row) => row.ended); position++) {
    const { logits, keys, values } = yield stepInputs(options, rows, cache, position)
    writePosition(cache.self_keys, keys, position)
    writePosition(cache.self_values, values, position)
    if (position < options.prompt_ids.length - 1) continue
    const V = logits.length / rows.length
    rows.forEach((row, i) => {
      if (!row.ended) extend(row, logits.subarray(i * V, (i + 1) * V), options, options.keys?.[i])
    })
  }
  return rows
}
