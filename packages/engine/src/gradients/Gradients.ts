/**
 * The gradients of every kernel that a program may be trained through, in plain tfjs operations, for all backends.
 *
 * tfjs-core's build for Node carries none (they come with the umbrella package, which brings layers, converters and WebGL
 * along), so they are here. Each takes dy shaped as the kernel's result and gives a float32 tensor shaped as the input.
 */
import type { GradConfig } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import { arrayGradients } from "./ArrayGradients.ts"
import { elementwiseGradients } from "./ElementwiseGradients.ts"
import { shapeGradients } from "./ShapeGradients.ts"

const ours: ReadonlyArray<GradConfig> = [...elementwiseGradients, ...shapeGradients, ...arrayGradients]

/** Kernels whose gradient is known. */
export const differentiableKernels: ReadonlySet<string> = new Set(ours.map(({ kernelName }) => kernelName))

/** Registers them; those of another copy under the same names are replaced, so that every process differentiates alike. */
export function registerGradients(composites: ReadonlyArray<GradConfig>): void {
  for (const config of [...ours, ...composites]) {
    if (tf.getGradient(config.kernelName) !== undefined) tf.unregisterGradient(config.kernelName)
    tf.registerGradient(config)
  }
}
