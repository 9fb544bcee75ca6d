/** Every kernel that capture knows, by family. docs/kernels.md is generated from this table. */
import { arrayKernels } from "./ArrayKernels.ts"
import { compositeKernels } from "./CompositeKernels.ts"
import { elementwiseKernels } from "./ElementwiseKernels.ts"
import type { Kernel } from "./Kernel.ts"
import { shapeKernels } from "./ShapeKernels.ts"

export const kernelFamilies: Readonly<Record<string, ReadonlyArray<Kernel>>> = {
  Elementwise: elementwiseKernels,
  "Shape and constants": shapeKernels,
  "Reductions, products and positions": arrayKernels,
  Composite: compositeKernels
}

export const kernels: ReadonlyArray<Kernel> = Object.values(kernelFamilies).flat()

/** Names of the tfjs kernels that a captured program may use. */
export const supportedKernels: ReadonlyArray<string> = kernels.map(({ name }) => name).sort()
