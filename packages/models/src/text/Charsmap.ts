/**
 * SentencePiece's precompiled map of characters (Kudo and Richardson 2018, section 3.2): which strings become which before a
 * text is cut.
 *
 *   bytes: uint32 size of the trie | trie, uint32 units of a double array | UTF-8 results, each with a zero behind
 *
 * A unit holds its byte, whether a key ends there and where its children lie; of a key's end, where its result starts.
 */

export interface Charsmap {
  /** The longest key that `bytes` has at `at`: its length and what it becomes. */
  readonly longest: (bytes: Uint8Array, at: number) => Replacement | undefined
  /** The shortest one. */
  readonly shortest: (bytes: Uint8Array, at: number) => Replacement | undefined
}

export interface Replacement {
  readonly length: number
  readonly text: string
}

const hasLeaf = (unit: number): boolean => ((unit >>> 8) & 1) === 1
const labelOf = (unit: number): number => (unit & 0x800000ff) >>> 0
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6)
const valueOf = (unit: number): number => unit & 0x7fffffff

/** Throws an Error where the bytes are no such map. An empty one changes nothing. */
export const readCharsmap = (bytes: Uint8Array): Charsmap => {
  if (bytes.length === 0) return { longest: () => undefined, shortest: () => undefined }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = bytes.length < 4 ? Number.NaN : view.getUint32(0, true)
  if (!(size % 4 === 0 && size > 0 && size <= bytes.length - 4))
    throw new Error(`precompiled_charsmap: a trie of ${size} bytes in ${bytes.length}`)
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true))
  const results = bytes.subarray(4 + size)
  const resultAt = (start: number): string => {
    const end = results.indexOf(0, start)
    if (end < 0) throw new Error("precompiled_charsmap: a result without an end")
    return new TextDecoder().decode(results.subarray(start, end))
  }
  const find = (text: Uint8Array, at: number, isEnough: boolean): Replacement | undefined => {
    let node = offsetOf(units[0]!)
    let found: { readonly length: number; readonly start: number } | undefined
    for (let i = at; i < text.length && !(isEnough && found !== undefined); i++) {
      node ^= text[i]!
      const unit = units[node]
      if (unit === undefined || labelOf(unit) !== text[i]) break
      node ^= offsetOf(unit)
      const end = units[node]
      if (hasLeaf(unit) && end !== undefined) found = { length: i + 1 - at, start: valueOf(end) }
    }
    return found && { length: found.length, text: resultAt(found.start) }
  }
  return { longest: (text, at) => find(text, at, false), shortest: (text, at) => find(text, at, true) }
}

/** Bytes of the character at `at` of UTF-8. */
export const characterLength = (bytes: Uint8Array, at: number): number => {
  const lead = bytes[at]!
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
}
