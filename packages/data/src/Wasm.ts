/**
 * WebAssembly written out as its bytes: the few instructions that Resample.ts is made of, and a module of functions over one memory.
 *
 * Operands come before their instruction, so an expression is a function of expressions. WebAssembly core specification 2.0, chapter 5.
 */

/** Bytes of code. */
export type Code = number | ReadonlyArray<Code>

/** LEB128. */
const unsigned = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]

const signed = (value: number): ReadonlyArray<number> =>
  value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)]

const bytesOf = (code: Code): ReadonlyArray<number> => (typeof code === "number" ? [code] : code.flatMap(bytesOf))

export const get = (local: number): Code => [0x20, unsigned(local)]
export const set = (local: number, value: Code): Code => [value, 0x21, unsigned(local)]
/** Sets the local and gives its value. */
export const tee = (local: number, value: Code): Code => [value, 0x22, unsigned(local)]

export const i32 = (value: number): Code => [0x41, signed(value)]
export const add = (a: Code, b: Code): Code => [a, b, 0x6a]
export const sub = (a: Code, b: Code): Code => [a, b, 0x6b]
export const shl = (a: Code, b: Code): Code => [a, b, 0x74]
export const isLess = (a: Code, b: Code): Code => [a, b, 0x48]

/** Does `body`, and again while `condition`. */
export const loop = (body: Code, condition: Code): Code => [0x03, 0x40, body, condition, 0x0d, 0, 0x0b]

/** No alignment is promised. */
const at = (offset: number): Code => [0, unsigned(offset)]
export const load32 = (address: Code, offset = 0): Code => [address, 0x28, at(offset)]

const simd = (instruction: number): Code => [0xfd, unsigned(instruction)]
/** 16 bytes. */
export const load128 = (address: Code): Code => [address, simd(0), at(0)]
export const store128 = (address: Code, value: Code): Code => [address, value, simd(11), at(0)]
/** An int32 in memory, four times. */
export const load32Splat = (address: Code): Code => [address, simd(9), at(0)]
/** 4 bytes; the rest is zero. */
export const load32Zero = (address: Code): Code => [address, simd(92), at(0)]
/** The first 4 bytes. */
export const store32 = (address: Code, value: Code): Code => [address, value, simd(90), at(0), 0]
export const splat = (value: Code): Code => [value, simd(17)]
/** The first or last 8 bytes as uint16, the first or last 4 uint16 as int32. */
export const bytesLow = (value: Code): Code => [value, simd(137)]
export const bytesHigh = (value: Code): Code => [value, simd(138)]
export const wordsLow = (value: Code): Code => [value, simd(169)]
export const wordsHigh = (value: Code): Code => [value, simd(170)]
/** On four int32 at once. */
export const add4 = (a: Code, b: Code): Code => [a, b, simd(174)]
export const mul4 = (a: Code, b: Code): Code => [a, b, simd(181)]
export const shiftRight4 = (a: Code, bits: Code): Code => [a, bits, simd(172)]
/** Two times four int32 to eight int16, and two times eight int16 to sixteen uint8: what is out of range becomes the nearest in it. */
export const narrow4 = (a: Code, b: Code): Code => [a, b, simd(133)]
export const narrow8 = (a: Code, b: Code): Code => [a, b, simd(102)]

/** A function of int32 that gives nothing. Locals are numbered: parameters, then `ints`, then `vectors` of 128 bits, as they are named. */
export interface WasmFunction {
  readonly name: string
  readonly params: number
  readonly ints: number
  readonly vectors: number
  readonly body: Code
}

/** Numbers 0, 1, ... under these names. */
export const numbered = <Name extends string>(...names: ReadonlyArray<Name>): Readonly<Record<Name, number>> =>
  Object.fromEntries(names.map((name, number) => [name, number])) as Record<Name, number>

const list = (items: ReadonlyArray<Code>): Code => [unsigned(items.length), items]
const sized = (code: Code): Code => {
  const bytes = bytesOf(code)
  return [unsigned(bytes.length), bytes]
}
const text = (value: string): Code => sized([...new TextEncoder().encode(value)])

const INT = 0x7f
const VECTOR = 0x7b

/** The module: it exports its functions, and a memory, `memory`, of `pages` times 64 KiB at first. */
export const moduleOf = (functions: ReadonlyArray<WasmFunction>, pages: number): Uint8Array<ArrayBuffer> => {
  const section = (id: number, items: ReadonlyArray<Code>): Code => [id, sized(list(items))]
  const types = functions.map(({ params }): Code => [0x60, list(Array<Code>(params).fill(INT)), 0])
  const exported = functions.map(({ name }, number): Code => [text(name), 0, unsigned(number)])
  const bodies = functions.map(({ ints, vectors, body }) =>
    sized([
      list([
        [unsigned(ints), INT],
        [unsigned(vectors), VECTOR]
      ]),
      body,
      0x0b
    ])
  )
  return Uint8Array.from(
    bytesOf([
      [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, types),
      section(
        3,
        functions.map((_, number) => unsigned(number))
      ),
      section(5, [[0, unsigned(pages)]]),
      section(7, [...exported, [text("memory"), 2, 0]]),
      section(10, bodies)
    ])
  )
}

/** Of JavaScript's interface what is used here; TypeScript has it among the browser's types only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

export const instanceOf = (bytes: Uint8Array): unknown =>
  new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
