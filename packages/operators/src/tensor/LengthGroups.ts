/**
 * Batches of rows of like length, so that less of a step is padding (`group_by_length`, as Hugging Face's Trainer calls it).
 *
 * The rows of eight steps in a row are sorted by their texts' lengths and cut into eight batches again, which are taken in a
 * random order. A window is small so that batches stay mixed: in contrastive learning the other rows of a batch are its negatives.
 * Which rows a step takes hangs on the seed, the data and the step alone, as without groups.
 */
import type { RandomKey } from "@bootlace/models"
import { permutation } from "./RowOrder.ts"

/** Steps whose rows are sorted together. */
export const window = 8

/** `lengths` of the rows of a window, step by step: the places in the window that each of its steps takes instead. */
export const lengthGroups = (
  lengths: ReadonlyArray<number>,
  batch_size: number,
  key: RandomKey
): ReadonlyArray<Int32Array> => {
  const sorted = Int32Array.from(lengths.keys()).sort((a, b) => lengths[a]! - lengths[b]! || a - b)
  return Array.from(permutation(key, window), (group) => sorted.subarray(group * batch_size, (group + 1) * batch_size))
}
