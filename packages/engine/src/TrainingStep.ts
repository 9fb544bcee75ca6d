/**
 * The tensor mathematics of one training step in plain tfjs, the same for every executor: twin, losses, gradients and their norm.
 */
import type { Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import { EngineError } from "./EngineError.ts"
import { showShape } from "./Graph.ts"
import { mapTensors, prefixed } from "./HostTensors.ts"
import type { LossesAndOutputs, Tensors } from "./Program.ts"

export interface Differentiated {
  readonly losses: Tensors
  readonly total: Tensor
  readonly outputs: Tensors
  /** Of the tensors that the losses depend on; the others have none, and the optimiser leaves them alone, as torch does. */
  readonly gradients: Tensors
}

/** momentum * twin + (1 - momentum) * weight (BLIP's momentum encoders, and an average of the weights). */
export const momentumTwin = (twin: Tensors, weights: Tensors, momentum: number): Tensors =>
  mapTensors(twin, (tensor, name) => tf.add(tf.mul(tensor, momentum), tf.mul(weights[name]!, 1 - momentum)))

/** What `run` gives, and the gradients of the sum of its losses with respect to the tensors `by`. */
export function differentiate(program: string, by: Tensors, run: () => LossesAndOutputs): Differentiated {
  const names = Object.keys(by)
  let losses: Tensors = {}
  let outputs: Tensors = {}
  const { value: total, grads } = tf.engine().gradients(
    () => {
      const result = run()
      checkLosses(program, result.losses)
      // What the tape's scope would dispose of is kept, and handed to the caller's scope below.
      losses = mapTensors(result.losses, (loss) => tf.keep(tf.clone(loss)))
      outputs = mapTensors(result.outputs, (output) => tf.keep(tf.clone(output)))
      return Object.values(result.losses).reduce((sum, loss) => tf.add(sum, loss))
    },
    names.map((name) => by[name]!),
    undefined,
    true
  )
  const gradients: Record<string, Tensor> = {}
  names.forEach((name, index) => {
    const gradient = grads[index] as Tensor | null | undefined
    if (gradient !== null && gradient !== undefined) gradients[name] = gradient
  })
  return { losses: release(losses), total, outputs: release(outputs), gradients }
}

/** A loss whose gradient at these features is the one given: sum(features x gradient). */
export const pulled = (features: Tensors, gradient: Tensors): LossesAndOutputs => ({
  losses: {
    pulled: Object.values(mapTensors(gradient, (by, name) => tf.sum(tf.mul(features[name]!, by)))).reduce((sum, one) =>
      tf.add(sum, one)
    )
  },
  outputs: {}
})

/** Tensors in the order in which they were made. */
const inOrder = (tensors: Tensors): ReadonlyArray<readonly [string, Tensor]> =>
  Object.entries(tensors).sort(([, a], [, b]) => a.id - b.id)

/** The sums of these gradients and earlier ones, made in the order of the gradients. */
export const addedTo = (earlier: Tensors, gradients: Tensors): Tensors =>
  Object.fromEntries(inOrder(gradients).map(([name, gradient]) => [name, tf.add(earlier[name]!, gradient)]))

/**
 * Global L2 norm over all gradients; 0 of none. Summed in the order in which the backward pass made them. ONNX Runtime computes what the last
 * output needs depth first, so this is also the order of execution: each weight's gradient right after the layer's, when its activations can
 * go. Any other order keeps more of them.
 */
export function normOf(gradients: Tensors): Tensor {
  const squares = inOrder(gradients).map(([, gradient]) => tf.sum(tf.square(gradient)))
  return squares.length === 0 ? tf.scalar(0) : tf.sqrt(squares.reduce((sum, square) => tf.add(sum, square)))
}

/** Kept tensors as ones that the surrounding tidy owns. */
const release = (kept: Tensors): Tensors =>
  mapTensors(kept, (tensor) => {
    const owned = tf.clone(tensor)
    tensor.dispose()
    return owned
  })

function checkLosses(program: string, losses: Tensors): void {
  const entries = Object.entries(losses)
  const invalid = (detail: string) => new EngineError({ reason: "InvalidProgram", program, detail })
  if (entries.length === 0) throw invalid("a training program must give at least one loss")
  for (const [name, loss] of entries) {
    if (loss.shape.length !== 0 || loss.dtype !== "float32") {
      throw invalid(`the loss ${name} must be a float32 scalar, got ${loss.dtype}${showShape(loss.shape)}`)
    }
  }
}

/** A step's results as every executor names them: losses `l:`, outputs `y:`, gradients `g:`. */
export const stepResults = ({ losses, total, outputs, gradients }: Differentiated): Tensors => ({
  ...prefixed("l:", losses),
  total,
  grad_norm: normOf(gradients),
  ...prefixed("y:", outputs),
  ...prefixed("g:", gradients)
})
