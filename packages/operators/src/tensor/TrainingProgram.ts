/**
 * The tensor operators of a Train node's graph as one differentiable program.
 *
 * Node by node, in the graph's order, each operator's program runs on the columns of the nodes before it. Columns that come
 * from the data are inputs of the program, each once however many nodes read it. Where an operator asks for a twin of an
 * input, the nodes that feed it run a second time with the momentum weights.
 */
import type { HostTensors, RowLosses, Tensors, TrainingProgram, TrainingTensors } from "@bootlace/engine"
import type { Columns, StoredType, TrainingGraph } from "@bootlace/graph"
import { randomKey } from "@bootlace/models"
import type { Model } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { withAdapters } from "./Lora.ts"
import type { OpenModel } from "./ModelArtifact.ts"
import { columnTensors } from "./TensorColumn.ts"
import type { WeightSelection } from "./TrainedWeights.ts"
import { isTensorOperator } from "./TensorOperator.ts"
import type { AnyLife, ColumnTensors, StateArray, StepContext, TrainingResult } from "./TensorOperator.ts"
import { columnWire, leavesOf, partsOf, under } from "./TrainingParts.ts"
import type { ColumnWire, Leaf, Part, Parts } from "./TrainingParts.ts"

export type Values = Readonly<Record<string, ColumnTensors[keyof ColumnTensors]>>

export interface ComposedTraining {
  readonly program: TrainingProgram
  readonly leaves: ReadonlyArray<Leaf>
  /** Momentum of the twin, where one is asked for. */
  readonly momentum: number | undefined
  readonly initialState: (seed: number) => HostTensors
  readonly feeds: (step: StepContext) => HostTensors
}

/** Outputs of the program under this prefix are rows for the state array of the rest of the name. */
export const enqueuePrefix = "enqueue/"

export const prefixed = <A>(node: string, values: Readonly<Record<string, A>>): Readonly<Record<string, A>> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [under(node, name), value]))

export const ownOf = <A>(node: string, values: Readonly<Record<string, A>>): Readonly<Record<string, A>> =>
  Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => name.startsWith(`${node}.`))
      .map(([name, value]) => [name.slice(node.length + 1), value])
  )

/** A graph with its operators' training lives, by node. */
export interface LivingGraph {
  readonly graph: TrainingGraph
  readonly lives: ReadonlyMap<string, AnyLife>
}

/** Loads the lives. */
export const livingGraph = Effect.fnUntraced(function* (graph: TrainingGraph) {
  const lives = new Map<string, AnyLife>()
  for (const { id, operator } of graph.nodes) {
    const life = isTensorOperator(operator) ? operator.tensors.training : undefined
    if (life !== undefined) lives.set(id, yield* life)
  }
  return { graph, lives } satisfies LivingGraph
})

/** Runs the nodes of the graph on one set of tensors; a twin's values are computed when asked for. */
export class Evaluation {
  readonly results = new Map<string, TrainingResult<Columns>>()
  private readonly twins = new Map<string, TrainingResult<Columns>>()
  private readonly parts: Parts
  private readonly tensors: TrainingTensors

  constructor(parts: Parts, tensors: TrainingTensors) {
    this.parts = parts
    this.tensors = tensors
    for (const part of parts.values()) this.results.set(part.node.id, this.run(part, false))
  }

  /** What a node, of this graph or one that compares its rows, reads. */
  inputsOf({ node, life }: Part, isTwin = false): Values {
    const inputs: Record<string, Values[string]> = {}
    for (const input of Object.keys(life.inputs)) inputs[input] = this.valueOf(columnWire(node, input), isTwin)
    return inputs
  }

  private run(part: Part, isTwin: boolean): TrainingResult<Columns> {
    const { node, life, at, twin, ids } = part
    const inputs = this.inputsOf(part, isTwin)
    const twins: Record<string, Values[string]> = {}
    if (!isTwin) for (const input of twin) twins[input] = this.valueOf(columnWire(node, input), true)
    return life.program(at)({
      weights: isTwin ? this.tensors.twin : this.tensors.weights,
      inputs,
      twin: twins,
      state: isTwin ? {} : ownOf(node.id, this.tensors.state),
      feeds: ownOf(node.id, this.tensors.inputs),
      ...(ids === undefined ? {} : { image_ids: this.tensors.inputs[ids.name]! }),
      isTwin
    })
  }

  private valueOf({ node, column, type }: ColumnWire, isTwin: boolean): Values[string] {
    const part = this.parts.get(node)
    if (part === undefined) return columnTensors(type as StoredType, under(node, column), this.tensors.inputs)
    const known = isTwin ? this.twins : this.results
    const result = known.get(node) ?? this.run(part, isTwin)
    known.set(node, result)
    return (result.columns as Values)[column]!
  }
}

/** The values under their own names where only one node has a value of that name, else with the node before it. */
const named = <A>(values: ReadonlyArray<{ readonly node: string; readonly name: string; readonly value: A }>) =>
  Object.fromEntries(
    values.map(({ node, name, value }) => {
      const isOnly = values.filter((other) => other.name === name).length === 1
      return [isOnly ? name : under(node, name), value] as const
    })
  )

/** The losses of the sum, each times its weight, and what is told of them and of the nodes' metrics: unweighted scalars. */
export const lossesAndScalars = (
  results: ReadonlyMap<string, Pick<TrainingResult<Columns>, "columns" | "metrics">>,
  { minimize }: TrainingGraph
) => {
  const losses = minimize.map(({ node, output: name, weight }) => {
    const value = (results.get(node)!.columns as Values)[name] as tf.Tensor
    return { node, name, value, weighted: weight === 1 ? value : tf.mul(value, weight) }
  })
  const metrics = [...results].flatMap(([node, result]) =>
    Object.entries(result.metrics ?? {}).map(([name, value]) => ({ node, name, value }))
  )
  return {
    losses: named(losses.map(({ node, name, weighted }) => ({ node, name, value: weighted }))),
    scalars: named([...losses, ...metrics])
  }
}

const momentumOf = (parts: Parts): number | undefined => {
  const wanted = [...parts.values()]
    .filter(({ twin }) => twin.length > 0)
    .map(({ life, at }) => life.momentum?.(at.config) ?? 0.995)
  const other = wanted.find((momentum) => momentum !== wanted[0])
  if (other !== undefined)
    throw new Error(`one twin has one momentum, but the graph asks for ${wanted[0]} and ${other}`)
  return wanted[0]
}

/** Trained weights of the encoders, or their adapters. */
const twinOf = ({ encoderWeights }: Model, { trained, lora }: WeightSelection) => {
  const adapters = lora?.adapters.filter(({ weight }) => encoderWeights.includes(weight)) ?? []
  const names = new Set([...encoderWeights, ...adapters.flatMap(({ down, up }) => [down, up])])
  return trained.filter((name) => names.has(name))
}

export interface Composition {
  /** Which weights are trained; all, where it isn't said. */
  readonly selection?: WeightSelection
  /** The same losses by rows, for batches in micro-batches. */
  readonly byRowsOf?: (parts: Parts, graph: TrainingGraph) => RowLosses
}

/** The graph's losses, on the weights as programs read them. */
const lossesOf = (
  parts: Parts,
  graph: TrainingGraph,
  { frozen, lora }: WeightSelection,
  rows: RowLosses | undefined
): Pick<TrainingProgram, "run" | "byRows"> => {
  const readable = (weights: Tensors): Tensors => (lora === undefined ? weights : withAdapters(lora, weights))
  const run: TrainingProgram["run"] = (tensors) => {
    const still = Object.fromEntries(frozen.map((weight) => [weight, tensors.weights[weight]!]))
    const twin = readable({ ...still, ...tensors.twin })
    const { results } = new Evaluation(parts, { ...tensors, weights: readable(tensors.weights), twin })
    const { losses, scalars } = lossesAndScalars(results, graph)
    const queued = [...results].map(([node, { enqueue }]) => prefixed(enqueuePrefix + node, enqueue ?? {}))
    return { losses, outputs: Object.assign(scalars, ...queued) as Tensors }
  }
  if (rows === undefined) return { run }
  const byRows: RowLosses = {
    features: (at) => rows.features({ ...at, weights: readable(at.weights) }),
    block: (at) => rows.block({ ...at, weights: readable(at.weights) })
  }
  return { run, byRows }
}

/** Throws an Error in words for a person where the graph can't be trained with this model. */
export const composeTraining = (
  name: string,
  { graph, lives }: LivingGraph,
  opened: OpenModel,
  batch_size: number,
  { selection, byRowsOf }: Composition = {}
): ComposedTraining => {
  const parts = partsOf(graph, lives, opened, batch_size)
  const all = [...parts.values()]
  const states = Object.assign({}, ...all.map(({ node, state }) => prefixed(node.id, state))) as Record<
    string,
    StateArray
  >
  const momentum = momentumOf(parts)
  const own = selection ?? { trained: Object.keys(opened.model.shapes), frozen: [] }
  return {
    program: {
      name,
      weights: own.trained,
      frozen: own.frozen,
      twin: momentum === undefined ? [] : twinOf(opened.model, own),
      state: Object.fromEntries(
        Object.entries(states).map(([array, { shape }]) => [array, { shape, dtype: "float32" as const }])
      ),
      ...lossesOf(parts, graph, own, byRowsOf?.(parts, graph))
    },
    leaves: leavesOf(parts),
    momentum,
    initialState: (seed) =>
      Object.fromEntries(
        Object.entries(states).map(([array, { shape, init }]) => [
          array,
          { shape, dtype: "float32" as const, data: init(randomKey(seed, "state", array)) }
        ])
      ),
    feeds: (step) =>
      Object.assign(
        {},
        ...all.map(({ node, life, at }) => prefixed(node.id, life.feeds?.(at, { ...step, node: node.id }) ?? {}))
      )
  }
}
