/**
 * The decoder's keys and values on the host, [L, R, H, T, d] each: of the tokens so far, written a position at a time, and of
 * the images. Positions that aren't written yet hold zeros and are hidden by `visible`.
 */
import { MASKED } from "../Layers.ts"

export interface HostArray {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

export interface HostCache {
  readonly self_keys: HostArray
  readonly self_values: HostArray
  readonly cross_keys: HostArray
  readonly cross_values: HostArray
}

const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((product, size) => product * size, 1)

/** Rows of a cache [L, R, ...] in another order, any of them several times. */
const takeRows = ({ shape, data }: HostArray, rows: ReadonlyArray<number>): HostArray => {
  const [L, R, ...rest] = shape as [number, number, ...Array<number>]
  const block = sizeOf(rest)
  const taken = new Float32Array(L * rows.length * block)
  for (let layer = 0; layer < L; layer++)
    rows.forEach((row, i) => {
      const start = (layer * R + row) * block
      taken.set(data.subarray(start, start + block), (layer * rows.length + i) * block)
    })
  return { shape: [L, rows.length, ...rest], data: taken }
}

/** The cache before the first token, `copies` rows for each image. */
export const openCache = (
  { cross_keys, cross_values }: Pick<HostCache, "cross_keys" | "cross_values">,
  max_length: number,
  copies: number
): HostCache => {
  const [L, B, H, , d] = cross_keys.shape
  if (cross_keys.shape.length !== 5)
    throw new Error(`expected cross_keys [L, B, H, N, d], got [${cross_keys.shape.join(", ")}]`)
  const shape = [L!, B! * copies, H!, max_length, d!]
  const rows = Array.from({ length: B! * copies }, (_, row) => Math.floor(row / copies))
  const zeros = (): HostArray => ({ shape, data: new Float32Array(sizeOf(shape)) })
  return {
    self_keys: zeros(),
    self_values: zeros(),
    cross_keys: copies === 1 ? cross_keys : takeRows(cross_keys, rows),
    cross_values: copies === 1 ? cross_values : takeRows(cross_values, rows)
  }
}

/** Writes one token's [L, R, H, 1, d] at `position`. */
export const writePosition = (cache: HostArray, rows: Float32Array, position: number): void => {
  const [T, d] = [cache.shape[3]!, cache.shape[4]!]
  for (let row = 0; row * d < rows.length; row++)
    cache.data.set(rows.subarray(row * d, (row + 1) * d), (row * T + position) * d)
}

/** Each row goes on from what row `rows[i]` has seen; images stay, so a row may only be replaced by one of its image. */
export const continueFrom = (cache: HostCache, rows: ReadonlyArray<number>): HostCache => ({
  ...cache,
  self_keys: takeRows(cache.self_keys, rows),
  self_values: takeRows(cache.self_values, rows)
})

/** [T_max]: 0 for positions before `position`, MASKED from there on. */
export const visibleBefore = (position: number, max_length: number): Float32Array =>
  new Float32Array(max_length).fill(MASKED, position)
