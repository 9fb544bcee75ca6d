/**
 * Rows of RGB bytes resampled by WebAssembly (ResizeLoops.ts), because JavaScript has no vector instructions; wherever sharp runs they are there.
 *
 * Rows go through in strips that stay in the processor's cache, so a large image takes no memory here.
 */
import { resizeLoops } from "./ResizeLoops.ts"
import type { ResizeLoops } from "./ResizeLoops.ts"

/**
 * What each output position is made of, `step` words each: how many bytes after the first input its first one begins, its number of weights
 * times 4, and the weights in fixed point with `bits` fractional bits.
 */
export interface Weighted {
  readonly words: Int32Array
  readonly step: number
  readonly bits: number
}

const page = 64 * 1024
/** Bytes of input, or of output, that are at work at once; more where one row needs more. */
const strip = 4 * page

let made: ResizeLoops | undefined

/** With this much memory at least. */
const loopsWith = (bytes: number): ResizeLoops => {
  made ??= resizeLoops((2 * strip) / page)
  const lacking = Math.ceil((bytes - made.memory.buffer.byteLength) / page)
  if (lacking > 0) made.memory.grow(lacking)
  return made
}

/** What the loops read and write behind their input and output. */
const slack = 16

/** Calls `work` with the addresses of taps, of `input` and of room for `output` bytes; gives what is there then, to be copied. */
const inMemory = (
  taps: Int32Array,
  input: Uint8Array,
  output: number,
  work: (loops: ResizeLoops, input: number, out: number, taps_end: number) => void
): Uint8Array => {
  const from = taps.byteLength
  const out = from + input.length + slack
  const loops = loopsWith(out + output + slack)
  const bytes = new Uint8Array(loops.memory.buffer)
  new Int32Array(loops.memory.buffer).set(taps)
  bytes.set(input, from)
  work(loops, from, out, from)
  return bytes.subarray(out, out + output)
}

/** These rows of `row_bytes` each, resampled: a pixel for each of the weighted. */
export const resampleAcross = (rows: Uint8Array, row_bytes: number, { words, step, bits }: Weighted): Uint8Array => {
  const out_bytes = (words.length / step) * 3
  const num_rows = rows.length / row_bytes
  const out = new Uint8Array(num_rows * out_bytes)
  const at_once = Math.max(1, Math.floor(strip / Math.max(row_bytes, out_bytes)))
  for (let row = 0; row < num_rows; row += at_once) {
    const some = rows.subarray(row * row_bytes, (row + at_once) * row_bytes)
    const size = (some.length / row_bytes) * out_bytes
    const done = inMemory(words, some, size, (loops, input, to, end) =>
      loops.across(input, input + some.length, row_bytes, to, 0, end, step * 4, bits)
    )
    out.set(done, row * out_bytes)
  }
  return out
}

/** A row of `out_bytes` bytes for each of the weighted, of rows of `row_bytes` each, of which it takes the bytes from `left` on. */
export const resampleDown = (
  rows: Uint8Array,
  row_bytes: number,
  left: number,
  out_bytes: number,
  { words, step, bits }: Weighted
): Uint8Array => {
  const made = words.length / step
  const out = new Uint8Array(made * out_bytes)
  const begins = (row: number): number => words[row * step]!
  const ends = (row: number): number => begins(row) + (words[row * step + 1]! / 4) * row_bytes
  const most = Math.max(1, Math.floor(strip / out_bytes))
  for (let row = 0, next = 1; row < made; row = next++) {
    while (next < made && next - row < most && ends(next) - begins(row) <= strip) next++
    const first = begins(row)
    const some = rows.subarray(first + left, ends(next - 1))
    const done = inMemory(
      words.subarray(row * step, next * step),
      some,
      (next - row) * out_bytes,
      (loops, input, to, end) => loops.down(input - first, row_bytes, out_bytes, to, 0, end, step * 4, bits)
    )
    out.set(done, row * out_bytes)
  }
  return out
}
