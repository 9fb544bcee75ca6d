/** Test support: reads protocol buffers back by the wire format alone (varint, 64 bit, bytes, 32 bit), knowing nothing of the writer. */

export type Field = bigint | Uint8Array

/** Every field's values in order; numbers are varints or the raw little-endian bytes of a fixed-size one. */
export function fieldsOf(bytes: Uint8Array): ReadonlyMap<number, ReadonlyArray<Field>> {
  const fields = new Map<number, Array<Field>>()
  let at = 0
  const varint = (): bigint => {
    let [value, shift] = [0n, 0n]
    for (;;) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error("a varint ends behind the message")
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
      shift += 7n
    }
  }
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new Error("a field ends behind the message")
    return bytes.subarray(at, (at += length))
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const value = [varint, () => take(8), () => take(Number(varint()))][tag & 7] ?? (() => take(4))
    const field = tag >> 3
    fields.set(field, [...(fields.get(field) ?? []), value()])
  }
  return fields
}

const text = (field: Field | undefined): string => new TextDecoder().decode(field as Uint8Array)
const message = (field: Field | undefined) => fieldsOf(field as Uint8Array)

export interface DecodedNode {
  readonly name: string
  readonly op: string
  readonly inputs: ReadonlyArray<string>
  /** AttrValue messages by name. */
  readonly attributes: Readonly<Record<string, ReadonlyMap<number, ReadonlyArray<Field>>>>
}

/** saved_model.proto: SavedModel { meta_graphs 2 { meta_info_def 1 { tags 4 }, graph_def 2 { node 1, versions 4 } } } */
export function decodeSavedModel(bytes: Uint8Array): {
  readonly tags: ReadonlyArray<string>
  readonly versions: { readonly producer: number; readonly min_consumer: number }
  readonly nodes: ReadonlyArray<DecodedNode>
} {
  const saved = fieldsOf(bytes)
  const meta = message(saved.get(2)?.[0])
  const graph = message(meta.get(2)?.[0])
  const versions = message(graph.get(4)?.[0])
  const number = (field: number) => Number(versions.get(field)?.[0])
  return {
    tags: (message(meta.get(1)?.[0]).get(4) ?? []).map(text),
    versions: { producer: number(1), min_consumer: number(2) },
    nodes: (graph.get(1) ?? []).map((bytes) => {
      const node = message(bytes)
      const attributes = (node.get(5) ?? []).map((entry) => {
        const pair = message(entry)
        return [text(pair.get(1)?.[0]), message(pair.get(2)?.[0])] as const
      })
      return {
        name: text(node.get(1)?.[0]),
        op: text(node.get(2)?.[0]),
        inputs: (node.get(3) ?? []).map(text),
        attributes: Object.fromEntries(attributes)
      }
    })
  }
}
