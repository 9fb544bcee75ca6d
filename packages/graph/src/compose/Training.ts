/** The graph of a Train node in TypeScript: nodes on the columns of its datasets, and the losses to minimize. */
import type { ColumnType, Columns } from "../ColumnType.ts"
import type { NodeSpec } from "../NodeSpec.ts"
import type { AnyOperator, Inputs, TrainingPorts } from "../Operator.ts"
import type { ConfigOf } from "./Given.ts"
import { type Composed, referenceTo, specOf } from "./Node.ts"
import { type AnyWire, type ColumnWire, columnWire, isWire, link } from "./Wire.ts"

type Loss = ColumnWire<"loss", "training">

/** Losses, summed; a number beside one is its weight. */
export type LossesOf = ReadonlyArray<Loss | readonly [loss: Loss, weight: number]>

type IsAny<T> = 0 extends 1 & T ? true : false

type InnerIn<Ins> = {
  readonly [K in keyof Ins as Ins[K] extends { readonly optional: true } ? never : K]: InnerWire<Ins[K]>
} & {
  readonly [K in keyof Ins as Ins[K] extends { readonly optional: true } ? K : never]?: InnerWire<Ins[K]>
}
type InnerWire<I> = I extends ColumnType
  ? ColumnWire<I, "training">
  : I extends { readonly column: infer Type extends ColumnType }
    ? ColumnWire<Type, "training">
    : never

/** What the operator's type says of its life in training; where it says nothing, anything goes here and is checked later. */
type InnerPorts<Op extends AnyOperator> = Op extends { readonly training?: infer Ports }
  ? IsAny<Ports> extends true
    ? { readonly in: any; readonly out: any }
    : Ports extends TrainingPorts
      ? { readonly in: InnerIn<Ports["inputs"]>; readonly out: InnerOut<Ports["outputs"]> }
      : never
  : never

type InnerOut<Out extends Columns> = { readonly [K in keyof Out]: ColumnWire<Out[K], "training"> }

/** As `node`, inside a training graph: the operator's training ports, and no model, because it is the one that is trained. */
export type TrainingBuilder = <Op extends AnyOperator>(
  id: string,
  operator: Op,
  given: ConfigOf<Op> & { readonly in: InnerPorts<Op>["in"] }
) => InnerPorts<Op>["out"]

const build = (id: string, operator: AnyOperator, given: object): Readonly<Record<string, AnyWire>> => {
  const node: Composed = { id, operator, given: given as Composed["given"] }
  const outputs = Object.keys(operator.training?.outputs ?? {})
  return Object.fromEntries(outputs.map((name) => [name, columnWire(node, [name])]))
}

/** Stands for a dataset while the graph is built. */
const datasets = (operator: AnyOperator): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(operator.inputs as Inputs).flatMap(([name, input]) => {
      if (typeof input === "string" || !("stream" in input)) return []
      const node: Composed = { id: name, operator, given: {} }
      return [
        [name, Object.fromEntries(Object.keys(input.stream).map((col) => [col, columnWire(node, [col])]))] as const
      ]
    })
  )

export interface BuiltGraph {
  readonly graph: Readonly<Record<string, NodeSpec>>
  readonly minimize: Readonly<Record<string, number>>
  readonly operators: ReadonlyArray<AnyOperator>
  /** Names that two different nodes have. */
  readonly twice: ReadonlyArray<string>
}

/** The losses' nodes and everything that they read. */
export const buildGraph = (train: AnyOperator, graph: (of: never, node: never) => LossesOf): BuiltGraph => {
  const losses = graph(datasets(train) as never, build as never)
  const nodes = new Map<string, Composed>()
  const twice = new Set<string>()
  const visit = (node: Composed): void => {
    const known = nodes.get(node.id)
    if (node.operator === train || known === node) return
    if (known !== undefined) return void twice.add(node.id)
    nodes.set(node.id, node)
    for (const wire of Object.values(node.given.in ?? {})) if (isWire(wire)) visit(wire[link].node)
  }
  const weighted = losses.map((loss) => (isWire(loss) ? ([loss, 1] as const) : loss))
  for (const [loss] of weighted) visit(loss[link].node)
  return {
    graph: Object.fromEntries([...nodes].map(([id, node]) => [id, specOf(node)])),
    minimize: Object.fromEntries(weighted.map(([loss, weight]) => [referenceTo(loss), weight])),
    operators: [...nodes.values()].map(({ operator }) => operator),
    twice: [...twice]
  }
}
