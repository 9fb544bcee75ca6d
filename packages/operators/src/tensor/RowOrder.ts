/**
 * Which rows a training step takes: a function of (seed, epoch, step) alone, so a resumed run needs no cursor but the step.
 *
 * Every pass over the rows is a permutation of its own; a batch that reaches the end of one goes on in the next.
 */
import { randomKey, uniforms } from "@bootlace/models"
import type { RandomKey } from "@bootlace/models"

/** Fisher and Yates's shuffle of 0 .. count - 1. */
export const permutation = (key: RandomKey, count: number): Int32Array => {
  const order = Int32Array.from({ length: count }, (_, row) => row)
  const draws = uniforms(key, count)
  for (let last = count - 1; last > 0; last--) {
    // A draw just below 1 is 1 in float32.
    const other = Math.min(last, Math.floor(draws[last]! * (last + 1)))
    const row = order[last]!
    order[last] = order[other]!
    order[other] = row
  }
  return order
}

export interface RowOrder {
  readonly rowsOf: (step: number) => Int32Array
}

export const rowOrder = (at: {
  readonly seed: number
  /** The Train node's input. */
  readonly stream: string
  readonly num_rows: number
  readonly batch_size: number
}): RowOrder => {
  const { num_rows, batch_size } = at
  /** A batch spans few epochs and steps come in order: the latest permutations are the ones needed. */
  const epochs = new Map<number, Int32Array>()
  const orderOf = (epoch: number): Int32Array => {
    const known = epochs.get(epoch)
    if (known !== undefined) return known
    const order = permutation(randomKey(at.seed, "order", at.stream, epoch), num_rows)
    for (const old of epochs.keys()) if (epochs.size > 1) epochs.delete(old)
    epochs.set(epoch, order)
    return order
  }
  const rowAt = (position: number): number => orderOf(Math.floor(position / num_rows))[position % num_rows]!
  return { rowsOf: (step) => Int32Array.from({ length: batch_size }, (_, i) => rowAt(step * batch_size + i)) }
}
