/**
 * The nodes of a training graph with their operators' lives, and what they read of the data: columns, each once however many nodes
 * read it, and ids of images, traced back from the input that was made of them.
 */
import type { PlanNode, StoredType, TrainingGraph, Wire } from "@bootlace/graph"
import type { OpenModel } from "./ModelArtifact.ts"
import type { AnyLife, ProgramContext, StateArray } from "./TensorOperator.ts"

/** A column of the data that the graph reads. */
export interface Leaf {
  /** `pairs.image`: its name among the program's inputs. */
  readonly name: string
  readonly stream: string
  readonly column: string
  readonly type: StoredType
  /** Not the column's images but their ids, of at least so many different images in a batch. */
  readonly ids?: { readonly at_least: number }
}

/** A node of the graph with its operator's training life and the context it runs in. */
export interface Part {
  readonly node: PlanNode
  readonly life: AnyLife
  readonly at: ProgramContext<unknown>
  readonly twin: ReadonlyArray<string>
  readonly state: Readonly<Record<string, StateArray>>
  /** The ids of the images that it tells apart. */
  readonly ids: Leaf | undefined
}

export type Parts = ReadonlyMap<string, Part>

export type ColumnWire = Extract<Wire, { readonly _tag: "Column" }>

export const under = (node: string, name: string): string => `${node}.${name}`

export const columnWire = (node: PlanNode, input: string): ColumnWire => {
  const wire = node.inputs[input]?.[0]
  if (wire?._tag !== "Column") throw new Error(`${node.id}: input ${input} is not wired to a column`)
  return wire
}

const partOf = (
  node: PlanNode,
  life: AnyLife | undefined,
  { model, tokenizer }: OpenModel,
  batch_size: number
): Part => {
  const { operator } = node
  if (life === undefined) throw new Error(`${node.id}: ${operator.name} has no life inside Train`)
  if (operator.model !== undefined && !operator.model.includes(model.architecture)) {
    throw new Error(
      `${node.id}: ${operator.name} needs a ${operator.model.join(" or ")} model, got a ${model.architecture} model`
    )
  }
  const at: ProgramContext<unknown> = { model, tokenizer, config: node.config }
  return { node, life, at, twin: life.twin?.(at) ?? [], state: life.state?.(at, batch_size) ?? {}, ids: undefined }
}

/** The images that an input was made of. */
const imagesBehind = (parts: Parts, { node, life }: Part, inputs = Object.keys(life.inputs)): Leaf | undefined => {
  for (const input of inputs) {
    const { node: stream, column, type } = columnWire(node, input)
    const before = parts.get(stream)
    if (before === undefined && type === "image") return { name: under(stream, `${column}.ids`), stream, column, type }
    const found = before && imagesBehind(parts, before)
    if (found !== undefined) return found
  }
  return undefined
}

const idsOf = (parts: Parts, part: Part): Leaf | undefined => {
  const asked = part.life.imageIds?.(part.at)
  if (asked === undefined) return undefined
  const images = imagesBehind(parts, part, [asked.of])
  if (images !== undefined) return { ...images, ids: { at_least: asked.at_least } }
  throw new Error(`${part.node.id}: same_image: positive goes by images, but no image is behind its ${asked.of}`)
}

/** Throws an Error in words for a person where a node doesn't fit the model or the data. */
export const partsOf = (
  graph: TrainingGraph,
  lives: ReadonlyMap<string, AnyLife>,
  opened: OpenModel,
  batch_size: number
): Parts => {
  const parts = new Map(graph.nodes.map((node) => [node.id, partOf(node, lives.get(node.id), opened, batch_size)]))
  return new Map([...parts].map(([id, part]) => [id, { ...part, ids: idsOf(parts, part) }]))
}

export const leavesOf = (parts: Parts): ReadonlyArray<Leaf> => {
  const leaves = new Map<string, Leaf>()
  for (const { node, life, ids } of parts.values()) {
    for (const input of Object.keys(life.inputs)) {
      const wire = columnWire(node, input)
      if (parts.has(wire.node)) continue
      const name = under(wire.node, wire.column)
      leaves.set(name, { name, stream: wire.node, column: wire.column, type: wire.type as StoredType })
    }
    if (ids?.ids === undefined) continue
    const at_least = Math.max(ids.ids.at_least, leaves.get(ids.name)?.ids?.at_least ?? 0)
    leaves.set(ids.name, { ...ids, ids: { at_least } })
  }
  return [...leaves.values()]
}
