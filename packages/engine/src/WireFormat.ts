/**
 * Protocol buffers' wire format, as far as the model writers need it: a message is a list of fields, a field is its number, a wire
 * type (0 varint, 2 bytes, 5 float32) and its content.
 */
export type Message = ReadonlyArray<Uint8Array>

const encoder = new TextEncoder()

function varint(value: number | bigint): Uint8Array {
  const bytes: Array<number> = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    const low = Number(rest & 127n)
    rest >>= 7n
    bytes.push(rest > 0n ? low | 128 : low)
  } while (rest > 0n)
  return Uint8Array.from(bytes)
}

export const integer = (field: number, value: number | bigint): Message => [varint(field << 3), varint(value)]

export const bytes = (field: number, content: Uint8Array): Message => [
  varint((field << 3) | 2),
  varint(content.length),
  content
]

export const text = (field: number, content: string): Message => bytes(field, encoder.encode(content))

export function float(field: number, value: number): Message {
  const content = new Uint8Array(4)
  new DataView(content.buffer).setFloat32(0, value, true)
  return [varint((field << 3) | 5), content]
}

export function message(field: number, ...parts: ReadonlyArray<Message>): Message {
  const content = parts.flat()
  const length = content.reduce((sum, part) => sum + part.length, 0)
  return [varint((field << 3) | 2), varint(length), ...content]
}

/** The encoded message. */
export function joined(parts: Message): Uint8Array {
  const encoded = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    encoded.set(part, offset)
    offset += part.length
  }
  return encoded
}
