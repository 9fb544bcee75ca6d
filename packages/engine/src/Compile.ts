/**
 * Programs as graphs for a worker that owns the tensors. The prefix of a tensor's name says what it is, which is how the worker finds it:
 *
 *   w: weight   t: twin   s: state   m: exp_avg   v: exp_avg_sq   g: gradient   x: input of the call   h: scalar of the step
 *   n: average   y: output   l: loss   total   grad_norm   new:w: and so on: written over the tensor of that name
 *
 * and with gradient caching
 *
 *   r: features of some rows   e: their gradient   a: features of all rows   d: their gradient   places: which rows
 */
import type { Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import { capture } from "./Capture.ts"
import type { AdamWScalars, AdamWState } from "./AdamW.ts"
import { adamW } from "./AdamW.ts"
import { gradientOrder } from "./GradientOrder.ts"
import type { Graph } from "./Graph.ts"
import { mapTensors, prefixed, under } from "./HostTensors.ts"
import { recompute } from "./Recompute.ts"
import { rewriteGraph } from "./RewriteGraph.ts"
import type { CachedProgram } from "./GradientCaching.ts"
import type { Optimizer, Program, Specs, Tensors, TrainingProgram } from "./Program.ts"
import type { TrainingSpecs } from "./TrainingChecks.ts"
import { addedTo, differentiate, momentumTwin, normOf, pulled, stepResults } from "./TrainingStep.ts"
import { foldScale } from "./onnx/FoldScale.ts"
import { gatherFirst } from "./onnx/GatherFirst.ts"
import { scatterInto } from "./onnx/ScatterInto.ts"
import { inPlace } from "./WorkerProtocol.ts"

export const inferenceGraph = (program: Program, weights: Specs, inputs: Specs): Graph =>
  capture(program.name, { ...prefixed("w:", weights), ...prefixed("x:", inputs) }, (at) =>
    prefixed("y:", program.run(under("w:", at), under("x:", at)))
  )

const only = (tensors: Tensors, names: Specs): Tensors => mapTensors(names, (_, name) => tensors[name]!)

const weightSpecs = ({ weights, frozen }: TrainingSpecs): Specs => prefixed("w:", { ...weights, ...frozen })

/** Losses, their gradients and further outputs, with the twin as it will be after this step's update. */
export function stepGraph(program: TrainingProgram, specs: TrainingSpecs, inputs: Specs, momentum: number): Graph {
  const tensors = {
    ...weightSpecs(specs),
    ...prefixed("t:", specs.twin),
    ...prefixed("s:", specs.state),
    ...prefixed("x:", inputs)
  }
  return capture(program.name, tensors, (at) => {
    const weights = under("w:", at)
    const twin = momentumTwin(under("t:", at), weights, momentum)
    const result = differentiate(program.name, only(weights, specs.weights), () =>
      program.run({ weights, twin, state: under("s:", at), inputs: under("x:", at) })
    )
    return stepResults(result)
  })
}

/** A graph that goes back from its `total`, for ONNX Runtime: what it keeps, and in which order it computes. */
export function leanGraph(given: Graph, { memory }: TrainingProgram): Graph {
  const graph = rewriteGraph(given, [foldScale, gatherFirst, scatterInto])
  const loss = graph.outputs.total!
  const lean = recompute(graph, loss, memory ?? "cheap")
  return { ...lean, order: gradientOrder(lean, loss) }
}

export const leanStepGraph = (...step: Parameters<typeof stepGraph>): Graph => leanGraph(stepGraph(...step), step[0])

/** The features of a micro-batch. */
export const featuresGraph = ({ name, byRows }: CachedProgram, specs: TrainingSpecs, inputs: Specs): Graph =>
  capture(`${name}: features`, { ...weightSpecs(specs), ...prefixed("x:", inputs) }, (at) =>
    prefixed("y:", byRows.features({ weights: under("w:", at), inputs: under("x:", at) }))
  )

/** The losses of a block of rows. The gradients of weights and of all features are added to those so far, in place. */
export function blockGraph({ name, byRows }: CachedProgram, specs: TrainingSpecs, rows: Specs, all: Specs): Graph {
  const tensors = {
    ...weightSpecs(specs),
    ...prefixed("g:", specs.weights),
    ...prefixed("r:", rows),
    ...prefixed("a:", all),
    ...prefixed("d:", all),
    places: { shape: [Object.values(rows)[0]!.shape[0]!], dtype: "int32" as const }
  }
  return capture(`${name}: block`, tensors, (at) => {
    const weights = under("w:", at)
    const features = { rows: under("r:", at), all: under("a:", at) }
    const by = {
      ...prefixed("g:", only(weights, specs.weights)),
      ...prefixed("e:", features.rows),
      ...prefixed("d:", features.all)
    }
    const result = differentiate(name, by, () => byRows.block({ weights, ...features, places: at.places! }))
    const { gradients } = result
    return {
      ...prefixed("l:", result.losses),
      ...prefixed("y:", result.outputs),
      ...prefixed(
        "e:",
        mapTensors(features.rows, (row, feature) => gradients[`e:${feature}`] ?? tf.zerosLike(row))
      ),
      ...prefixed(`${inPlace}d:`, addedTo(under("d:", at), under("d:", gradients))),
      ...prefixed(`${inPlace}g:`, addedTo(under("g:", at), under("g:", gradients)))
    }
  })
}

/**
 * The gradients of the weights at a micro-batch, by those of its features, added to those so far; and the norm of all. `others` are the weights
 * that have a gradient from the blocks.
 */
export function accumulateGraph(
  { name, byRows }: CachedProgram,
  specs: TrainingSpecs,
  inputs: Specs,
  features: Specs,
  others: ReadonlyArray<string>
): Graph {
  const tensors = {
    ...weightSpecs(specs),
    ...prefixed("g:", specs.weights),
    ...prefixed("x:", inputs),
    ...prefixed("e:", features)
  }
  return capture(`${name}: accumulate`, tensors, (at) => {
    const weights = under("w:", at)
    const { total, gradients } = differentiate(name, only(weights, specs.weights), () =>
      pulled(byRows.features({ weights, inputs: under("x:", at) }), under("e:", at))
    )
    const earlier = under("g:", at)
    const sums = addedTo(earlier, gradients)
    const rest = Object.fromEntries(others.flatMap((one) => (sums[one] === undefined ? [[one, earlier[one]!]] : [])))
    return { total, grad_norm: normOf({ ...rest, ...sums }), ...prefixed(`${inPlace}g:`, sums) }
  })
}

/** Lets the copies under a prefix, of the twin or of the average, follow the weights in place. */
export const followGraph = (program: string, copies: "t:" | "n:", specs: Specs, momentum: number): Graph =>
  capture(`${program}: follow`, { ...prefixed("w:", specs), ...prefixed(copies, specs) }, (at) =>
    prefixed(inPlace + copies, momentumTwin(under(copies, at), under("w:", at), momentum))
  )

const scalar = { shape: [], dtype: "float32" } as const

/** AdamW for these weights, all results in place. */
export function updateGraph(program: string, weights: Specs, optimizer: Optimizer): Graph {
  const scalars: Readonly<Record<keyof AdamWScalars<unknown>, typeof scalar>> = {
    keep: scalar,
    step_size: scalar,
    correction: scalar,
    clip: scalar
  }
  const parts = ["w:", "g:", "m:", "v:"].map((prefix) => prefixed(prefix, weights))
  return capture(`${program}: update`, Object.assign(prefixed("h:", scalars), ...parts) as Specs, (at) => {
    const step = under("h:", at) as unknown as AdamWScalars<Tensor>
    const of = (prefix: string, name: string) => at[prefix + name]!
    const updated: Readonly<Record<string, AdamWState>> = mapTensors(weights, (_, name) =>
      adamW(
        name,
        { weight: of("w:", name), exp_avg: of("m:", name), exp_avg_sq: of("v:", name) },
        of("g:", name),
        step,
        optimizer
      )
    )
    const all = (prefix: string, part: keyof AdamWState): Tensors =>
      prefixed(
        inPlace + prefix,
        mapTensors(updated, (state) => state[part])
      )
    return { ...all("w:", "weight"), ...all("m:", "exp_avg"), ...all("v:", "exp_avg_sq") }
  })
}
