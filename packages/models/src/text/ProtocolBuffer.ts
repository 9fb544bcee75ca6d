/**
 * The wire format of protocol buffers, as far as spiece.model needs it: fields by number, in their order.
 *
 *   tag = number << 3 | type;  type 0: varint   1: 8 bytes   2: length and bytes   5: 4 bytes
 */

export interface Field {
  /** Of a varint. */
  readonly number?: number
  /** Of all other types. */
  readonly bytes?: Uint8Array
}
export type Fields = ReadonlyMap<number, ReadonlyArray<Field>>

/** Throws an Error where a field reaches behind the end, or is of a type of old. */
export const fields = (bytes: Uint8Array): Fields => {
  const found = new Map<number, Array<Field>>()
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error("protocol buffer: it ends inside a number")
      // Numbers of more than 53 bits are negative ones; nothing here reads them.
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new Error("protocol buffer: a number of more than 10 bytes")
  }
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at)
      throw new Error(`protocol buffer: a field of ${length} bytes with ${bytes.length - at} left`)
    at += length
    return bytes.subarray(at - length, at)
  }
  const value = (type: number): Field => {
    switch (type) {
      case 0:
        return { number: varint() }
      case 1:
        return { bytes: take(8) }
      case 2:
        return { bytes: take(varint()) }
      case 5:
        return { bytes: take(4) }
      default:
        throw new Error(`protocol buffer: a field of type ${type}`)
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const id = Math.floor(tag / 8)
    const known = found.get(id) ?? []
    known.push(value(tag % 8))
    found.set(id, known)
  }
  return found
}

/** The last of a field's values as text; "" where there is none. */
export const textOf = (values: ReadonlyArray<Field> | undefined): string =>
  new TextDecoder().decode(values?.at(-1)?.bytes ?? new Uint8Array())

/** The last of a field's values as float32. */
export const floatOf = (values: ReadonlyArray<Field> | undefined, fallback: number): number => {
  const bytes = values?.at(-1)?.bytes
  if (bytes?.length !== 4) return fallback
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true)
}
