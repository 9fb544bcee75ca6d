/**
 * The two loops of a resize in vector instructions: rows resampled along themselves, and weighted sums of whole rows.
 *
 *   taps        per output position: how many bytes after the first input its first one begins; its number of weights times 4;
 *               the weights, fixed point with `bits` fractional bits; each an int32, `step` bytes in all
 *   input, out  RGB bytes; each sum is shifted right by `bits` and clipped to 8 bits
 *
 * Sums are exact in int32, so the order of additions doesn't show. The last step of a loop reads and writes up to 16 bytes behind what it is about.
 */
import {
  add,
  add4,
  bytesHigh,
  bytesLow,
  get,
  i32,
  instanceOf,
  isLess,
  load128,
  load32,
  load32Splat,
  load32Zero,
  loop,
  moduleOf,
  mul4,
  narrow4,
  narrow8,
  numbered,
  set,
  shiftRight4,
  shl,
  splat,
  store128,
  store32,
  sub,
  tee,
  wordsHigh,
  wordsLow
} from "./Wasm.ts"
import type { Code, WasmFunction } from "./Wasm.ts"

/** What a sum begins with, so that the shift rounds. */
const half = (bits: number): Code => splat(shl(i32(1), sub(get(bits), i32(1))))

/** Rows from `input` up to `input_end`. Per tap red, green, blue and a byte too many are multiplied at once. */
const across = (): WasmFunction => {
  const params = ["input", "input_end", "row_bytes", "out", "taps", "taps_end", "step", "bits"] as const
  const l = numbered(...params, "tap", "from", "weight", "weights_end", "sum")
  const pixel = wordsLow(bytesLow(load32Zero(get(l.from))))
  const position: Code = [
    set(l.from, add(get(l.input), load32(get(l.tap)))),
    set(l.weight, add(get(l.tap), i32(8))),
    set(l.weights_end, add(get(l.weight), load32(get(l.tap), 4))),
    set(l.sum, half(l.bits)),
    loop(
      [
        set(l.sum, add4(get(l.sum), mul4(pixel, load32Splat(get(l.weight))))),
        set(l.from, add(get(l.from), i32(3))),
        set(l.weight, add(get(l.weight), i32(4)))
      ],
      isLess(get(l.weight), get(l.weights_end))
    ),
    set(l.sum, shiftRight4(get(l.sum), get(l.bits))),
    set(l.sum, narrow4(get(l.sum), get(l.sum))),
    store32(get(l.out), narrow8(get(l.sum), get(l.sum))),
    set(l.out, add(get(l.out), i32(3))),
    set(l.tap, add(get(l.tap), get(l.step)))
  ]
  const row: Code = [
    set(l.tap, get(l.taps)),
    loop(position, isLess(get(l.tap), get(l.taps_end))),
    set(l.input, add(get(l.input), get(l.row_bytes)))
  ]
  const body = loop(row, isLess(get(l.input), get(l.input_end)))
  return { name: "across", params: params.length, ints: 4, vectors: 1, body }
}

/** One row for each of the taps from `taps` up to `taps_end`, of the first `out_bytes` bytes of rows from `input` on. */
const down = (): WasmFunction => {
  const params = ["input", "row_bytes", "out_bytes", "out", "taps", "taps_end", "step", "bits"] as const
  const ints = ["column", "from", "weight", "weights_end"] as const
  const sums = ["a", "b", "c", "d"] as const
  const l = numbered(...params, ...ints, ...sums, "bytes", "factor")
  const parts = [
    wordsLow(bytesLow(get(l.bytes))),
    wordsHigh(bytesLow(get(l.bytes))),
    wordsLow(bytesHigh(get(l.bytes))),
    wordsHigh(bytesHigh(get(l.bytes)))
  ]
  const shifted = (sum: number): Code => shiftRight4(get(sum), get(l.bits))
  const sixteen: Code = [
    set(l.from, add(add(get(l.input), load32(get(l.taps))), get(l.column))),
    set(l.weight, add(get(l.taps), i32(8))),
    set(l.weights_end, add(get(l.weight), load32(get(l.taps), 4))),
    sums.map((sum) => set(l[sum], half(l.bits))),
    loop(
      [
        set(l.bytes, load128(get(l.from))),
        set(l.factor, load32Splat(get(l.weight))),
        sums.map((sum, i) => set(l[sum], add4(get(l[sum]), mul4(parts[i]!, get(l.factor))))),
        set(l.from, add(get(l.from), get(l.row_bytes))),
        set(l.weight, add(get(l.weight), i32(4)))
      ],
      isLess(get(l.weight), get(l.weights_end))
    ),
    store128(
      add(get(l.out), get(l.column)),
      narrow8(narrow4(shifted(l.a), shifted(l.b)), narrow4(shifted(l.c), shifted(l.d)))
    )
  ]
  const row: Code = [
    set(l.column, i32(0)),
    loop(sixteen, isLess(tee(l.column, add(get(l.column), i32(16))), get(l.out_bytes))),
    set(l.out, add(get(l.out), get(l.out_bytes))),
    set(l.taps, add(get(l.taps), get(l.step)))
  ]
  const body = loop(row, isLess(get(l.taps), get(l.taps_end)))
  return { name: "down", params: params.length, ints: ints.length, vectors: sums.length + 2, body }
}

/** What the module exports. Params are int32, as each function names them. */
export interface ResizeLoops {
  readonly memory: { readonly buffer: ArrayBuffer; readonly grow: (pages: number) => number }
  readonly across: (...params: ReadonlyArray<number>) => void
  readonly down: (...params: ReadonlyArray<number>) => void
}

export const resizeLoops = (pages: number): ResizeLoops =>
  instanceOf(moduleOf([across(), down()], pages)) as ResizeLoops
