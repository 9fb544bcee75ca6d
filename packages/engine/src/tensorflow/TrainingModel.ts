/**
 * A training as one TensorFlow model, its tensors variables that stay there:
 *
 *   step          forward and backward at inputs of one shape; leaves the gradients in `g:` and gives losses, norm and outputs
 *   update        twin, AdamW, clamps and average, in place
 *   write:STATE   overwrites rows of a state array
 *
 * The names of tensors are those of Compile.ts. A step is two entries, so that it can be refused in between.
 */
import type { AdamWScalars } from "../AdamW.ts"
import type { Graph } from "../Graph.ts"
import { prefixed } from "../HostTensors.ts"
import type { Optimizer, Specs, TensorSpec } from "../Program.ts"
import type { TrainingSpecs } from "../TrainingChecks.ts"
import { ofType } from "./GraphBuilder.ts"
import { GraphBuilder } from "./GraphBuilder.ts"
import type { Precision } from "./GraphBuilder.ts"
import { encodeSavedModel } from "./SavedModel.ts"
import { fetched, lowerGraph } from "./Model.ts"
import type { CompiledModel, Entry } from "./Model.ts"
import { updateWeight } from "./UpdateWeight.ts"
import { Variables } from "./Variables.ts"

export interface TrainingParts {
  readonly own: TrainingSpecs
  readonly optimizer: Optimizer
  /** The weights that have a gradient. */
  readonly trained: ReadonlyArray<string>
  /** Losses and gradients (`stepGraph`); absent where gradients come from elsewhere. */
  readonly graph?: Graph
}

/** Everything that lives in the model. */
const variableSpecs = ({ own, trained }: TrainingParts): Specs => {
  const moving = Object.fromEntries(trained.map((name) => [name, own.weights[name]!]))
  return {
    ...prefixed("w:", { ...own.weights, ...own.frozen }),
    ...prefixed("t:", own.twin),
    ...prefixed("s:", own.state),
    ...Object.assign({}, ...["g:", "m:", "v:"].map((prefix) => prefixed(prefix, moving))),
    ...(Object.keys(own.ema).length === 0 ? {} : prefixed("n:", moving))
  }
}

export function trainingModel(parts: TrainingParts, precision: Precision): CompiledModel {
  const builder = new GraphBuilder(precision)
  const variables = new Variables(builder, variableSpecs(parts))
  const writes = Object.entries(parts.own.state).map(([name, spec]) => [
    `write:s:${name}`,
    writeEntry(builder, variables, `s:${name}`, spec)
  ])
  const entries: Record<string, Entry> = {
    ...Object.fromEntries(writes),
    ...(parts.graph === undefined ? {} : { step: stepEntry(builder, variables, parts.graph) }),
    update: updateEntry(builder, variables, parts)
  }
  return { bytes: encodeSavedModel(builder.nodes), entries, variables: variables.nodes }
}

function stepEntry(builder: GraphBuilder, variables: Variables, graph: Graph): Entry {
  const feeds: Record<string, string> = {}
  const nodes = lowerGraph(builder, graph, (name, { dtype, shape }) =>
    variables.has(name) ? variables.read(name) : (feeds[name] = builder.placeholder(dtype, shape))
  )
  const outputs = Object.entries(graph.outputs)
  const assigned = outputs.filter(([name]) => name.startsWith("g:"))
  const given = outputs.filter(([name]) => !name.startsWith("g:"))
  return {
    feeds,
    fetches: Object.fromEntries(given.map(([name, value]) => [name, fetched(builder, nodes.get(value)!, value)])),
    variables: Object.keys(graph.inputs).filter((name) => variables.has(name)),
    assigned: assigned.map(([name]) => name),
    destroyed: [],
    done: variables.after(assigned.map(([name, value]) => variables.assign(name, nodes.get(value)!)))
  }
}

const scalarNames: ReadonlyArray<keyof AdamWScalars<unknown>> = ["keep", "step_size", "correction", "clip"]

function updateEntry(builder: GraphBuilder, variables: Variables, { own, optimizer, trained }: TrainingParts): Entry {
  const feeds = Object.fromEntries(scalarNames.map((name) => [name, builder.placeholder("float32", [])])) as Readonly<
    Record<keyof AdamWScalars<unknown>, string>
  >
  const { keep, step_size, correction, clip } = feeds
  const eps = builder.node("Mul", [correction, builder.splat(optimizer.eps, "float32")], ofType("float32"))
  const scalars = { keep, clip, eps, learning_rate: builder.node("Mul", [step_size, correction], ofType("float32")) }
  const touched = Object.keys(own.weights).filter((name) => trained.includes(name) || variables.has(`t:${name}`))
  const updated = touched.map((name) =>
    updateWeight({ builder, variables, optimizer, scalars, name, shape: own.weights[name]!.shape })
  )
  // The next step makes gradients of its own: until then nobody needs the memory of these.
  const gradients = trained.map((name) => `g:${name}`)
  const gone = gradients.map((name) => variables.destroy(name, [variables.after(updated)]))
  return {
    feeds: prefixed("h:", feeds),
    fetches: {},
    variables: touched
      .flatMap((name) => ["w:", "t:", "g:", "m:", "v:", "n:"].map((prefix) => prefix + name))
      .filter((name) => variables.has(name)),
    assigned: [],
    destroyed: gradients,
    done: variables.after(gone)
  }
}

function writeEntry(builder: GraphBuilder, variables: Variables, name: string, { dtype, shape }: TensorSpec): Entry {
  const rows = builder.placeholder(dtype, [-1, ...shape.slice(1)])
  const positions = builder.placeholder("int32", [-1])
  const write = builder.node("ResourceScatterUpdate", [variables.handle(name), positions, rows], {
    dtype: { type: dtype },
    Tindices: { type: "int32" }
  })
  return {
    feeds: { rows, positions },
    fetches: {},
    variables: [name],
    assigned: [],
    destroyed: [],
    done: variables.after([write])
  }
}
