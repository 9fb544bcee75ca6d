/**
 * The decoder's keys and values of the tokens so far, on the host: two arrays [L, B, H, T_max, d], written a position at a
 * time. Positions that aren't written yet hold zeros and are hidden by `visible`.
 */
import { MASKED } from "../Layers.ts"

export interface HostArray {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

export interface HostCache {
  readonly self_keys: HostArray
  readonly self_values: HostArray
}

/** `cross_shape` [L, B, H, N, d] is the shape of the image's keys. */
export const emptyCache = (cross_shape: ReadonlyArray<number>, max_length: number): HostCache => {
  const [L, B, H, , d] = cross_shape
  if (cross_shape.length !== 5) throw new Error(`expected cross_keys [L, B, H, N, d], got [${cross_shape.join(", ")}]`)
  const shape = [L!, B!, H!, max_length, d!]
  const zeros = (): HostArray => ({ shape, data: new Float32Array(shape.reduce((product, size) => product * size, 1)) })
  return { self_keys: zeros(), self_values: zeros() }
}

/** Writes one token's [L, B, H, 1, d] at `position`. */
export const writePosition = (cache: HostArray, rows: Float32Array, position: number): void => {
  const [T, d] = [cache.shape[3]!, cache.shape[4]!]
  for (let row = 0; row * d < rows.length; row++)
    cache.data.set(rows.subarray(row * d, (row + 1) * d), (row * T + position) * d)
}

/** [T_max]: 0 for positions before `position`, MASKED from there on. */
export const visibleBefore = (position: number, max_length: number): Float32Array =>
  new Float32Array(max_length).fill(MASKED, position)
