/**
 * Dropout (Srivastava et al. 2014), inside a program whose random numbers come from outside.
 *
 *   x [B, ...]   key int32 [3]: two numbers of the draw, below 46,337, and the place in the batch of the first row
 *   ->  x with a share `rate` of it zero, the rest divided by 1 - rate
 *
 * What is dropped is a function of (key, site, row of the batch, place in the row) alone: so it is the same on every engine, in both passes
 * over a micro-batch, and where memory is saved by computing a step twice. It is computed in whole numbers modulo the largest prime
 * whose squares fit in an int32; cubing permutes the residues, since 3 doesn't divide the prime less one. Sums and cubes in turn
 * mix the row, the place and the key.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { dim } from "./Layers.ts"
import type { Dropout } from "./Model.ts"
import type { RandomKey } from "./Random.ts"
import { randomKey } from "./Random.ts"

/** How a tower drops: `site` names the place in it, once each. */
export type Drop = (x: Tensor, site: string) => Tensor

export const dropNothing: Drop = (x) => x

const prime = 46337

/** The values of a program's key input, for the rows of a batch from `first` on. */
export const dropoutKey = ([a, b]: RandomKey, first: number): Int32Array => Int32Array.of(a % prime, b % prime, first)

const plus = (a: Tensor, b: Tensor | number): Tensor =>
  tf.mod(tf.add(a, typeof b === "number" ? tf.scalar(b, "int32") : b), tf.scalar(prime, "int32"))
const times = (a: Tensor, b: Tensor): Tensor => tf.mod(tf.mul(a, b), tf.scalar(prime, "int32"))
const cubed = (a: Tensor): Tensor => times(times(a, a), a)

/** One residue for each whole number: all of its digits to the base of the prime count. */
const mixed = (numbers: Tensor, [first, second]: readonly [Tensor | number, Tensor | number]): Tensor => {
  const low = cubed(plus(plus(numbers, 0), first))
  return cubed(plus(plus(low, tf.floorDiv(numbers, tf.scalar(prime, "int32"))), second))
}

const part = (key: Tensor, at: number): Tensor => tf.reshape(tf.slice(key, [at], [1]), [])

/** int32 residues [B, C], evenly spread, of a draw. */
const residues = ({ key, prefix = "" }: Dropout, site: string, B: number, C: number): Tensor => {
  const [a, b, first] = [part(key, 0), part(key, 1), part(key, 2)]
  const rows = tf.add(tf.range(0, B, 1, "int32"), first)
  const row_B1 = tf.reshape(mixed(rows, [a, b]), [B, 1])
  const again_B1 = tf.reshape(cubed(plus(mixed(rows, [b, a]), 1)), [B, 1])
  const [s, t] = randomKey(0, "dropout", prefix, site)
  const places = mixed(tf.range(0, C, 1, "int32"), [s % prime, t % prime])
  const place_1C = tf.reshape(cubed(plus(places, a)), [1, C])
  return cubed(plus(cubed(plus(row_B1, place_1C)), again_B1))
}

/** The axes behind the first are one row. */
export const dropWith = (dropout: Dropout): Drop => {
  const { rate } = dropout
  if (!(rate >= 0 && rate < 1)) throw new Error(`expected a dropout rate of at least 0 and below 1, got ${rate}`)
  if (rate === 0) return dropNothing
  return (x, site) => {
    const B = dim(x, 0)
    const residues_BC = residues(dropout, site, B, x.size / B)
    const kept = tf.greaterEqual(residues_BC, tf.scalar(Math.round(rate * prime), "int32"))
    return tf.where(tf.reshape(kept, x.shape), tf.mul(x, 1 / (1 - rate)), tf.zerosLike(x))
  }
}
