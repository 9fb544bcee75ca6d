/**
 * Protocol buffers' wire format, as far as the model writers need it: a message is a list of fields, a field is its number, a wire
 * type (0 varint, 2 bytes, 5 float32) and its content.
 *
 * A model has some hundred thousand fields, most of them a few bytes long: each is one array, and so is a message of such fields.
 */
export type Message = ReadonlyArray<Uint8Array>

/** Content up to this size is copied into its message's array; longer content is passed on as it is. */
const copied = 4096

export const bytesOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

const encoder = new TextEncoder()

/** Bytes of a whole number from 0 to 2^53. */
function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++
  return length
}

/** The place after the number. */
function putVarint(into: Uint8Array, at: number, value: number): number {
  let place = at
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) into[place++] = (rest % 128) | 128
  into[place++] = rest
  return place
}

/** Two varints, and room for the content of a field behind them. */
function opened(tag: number, value: number, room: number): { readonly field: Uint8Array; readonly at: number } {
  const field = new Uint8Array(varintLength(tag) + varintLength(value) + room)
  return { field, at: putVarint(field, putVarint(field, 0, tag), value) }
}

/** Of a negative number, as 64 bits in two's complement: always ten bytes. */
function negative(tag: number, value: number): Uint8Array {
  const { field, at } = opened(tag, 0, 9)
  let rest = BigInt.asUintN(64, BigInt(value))
  for (let place = at - 1; place < field.length; place++, rest >>= 7n) field[place] = Number(rest & 127n) | 128
  field[field.length - 1]! &= 127
  return field
}

export const integer = (field: number, value: number): Message => [
  value < 0 ? negative(field << 3, value) : opened(field << 3, value, 0).field
]

export function bytes(field: number, content: Uint8Array): Message {
  const tag = (field << 3) | 2
  if (content.length > copied) return [opened(tag, content.length, 0).field, content]
  const whole = opened(tag, content.length, content.length)
  whole.field.set(content, whole.at)
  return [whole.field]
}

export function text(field: number, content: string): Message {
  const { field: whole, at } = opened((field << 3) | 2, content.length, content.length)
  for (let index = 0; index < content.length; index++) {
    const code = content.charCodeAt(index)
    if (code >= 128) return bytes(field, encoder.encode(content))
    whole[at + index] = code
  }
  return [whole]
}

export function float(field: number, value: number): Message {
  const content = new Uint8Array(5)
  content[0] = (field << 3) | 5
  new DataView(content.buffer).setFloat32(1, value, true)
  return [content]
}

const lengthOf = (parts: Message): number => parts.reduce((sum, part) => sum + part.length, 0)

function copyParts(parts: Message, into: Uint8Array, at: number): Uint8Array {
  let place = at
  for (const part of parts) {
    into.set(part, place)
    place += part.length
  }
  return into
}

export function message(field: number, ...parts: ReadonlyArray<Message>): Message {
  const content = parts.flat()
  const length = lengthOf(content)
  const tag = (field << 3) | 2
  if (length > copied) return [opened(tag, length, 0).field, ...content]
  const { field: whole, at } = opened(tag, length, length)
  return [copyParts(content, whole, at)]
}

/** The encoded message. */
export const joined = (parts: Message): Uint8Array => copyParts(parts, new Uint8Array(lengthOf(parts)), 0)
