/**
 * Test support: the gradients that tfjs's umbrella package registers, read before the engine replaces them. Import this file before
 * anything of the engine. The package comes with the optional @tensorflow/tfjs-node-gpu.
 */
import type { GradConfig } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"

const umbrella = "@tensorflow/tfjs"
export const loaded: boolean = await import(umbrella).then(
  () => true,
  () => false
)

export const officialGradient = (kernel: string): GradConfig | undefined => official.get(kernel)

const kernels =
  "Abs Add AddN BatchMatMul BroadcastTo Cast ClipByValue Concat Cos Elu Erf Exp ExpandDims Expm1 GatherV2 Log Log1p LogSoftmax Max Maximum Mean Min Minimum Multiply Neg Pack PadV2 Pow RealDiv Reciprocal Relu Relu6 Reshape Reverse Rsqrt Select Sigmoid Sin Slice Softmax Softplus SplitV Sqrt Square SquaredDifference Sub Sum Tanh Tile Transpose Unpack UnsortedSegmentSum"
const official = new Map(
  kernels.split(" ").flatMap((name) => {
    const config = tf.getGradient(name)
    return config === undefined ? [] : [[name, config] as const]
  })
)
