/**
 * A value that no gradient flows through: training targets, and the choice of negatives.
 *
 * The computation stands inside a custom gradient that names no inputs, so that the tape never sees where the value came
 * from. Passing the tensors in would not do: a choice of rows is an integer tensor, and an integer has no gradient.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"

export const detached = (value: () => Tensor): Tensor => tf.customGrad(() => ({ value: value(), gradFunc: () => [] }))()
