/** Kernels that combine elements: reductions, softmax, matrix products, rows by position. */
import type { Value } from "../Graph.ts"
import { binary, cast, unary } from "../ops/Elementwise.ts"
import { gather, oneHot, scatterAdd } from "../ops/Indexing.ts"
import { matmul } from "../ops/MatMul.ts"
import { axesOf, cumulativeSum, extremePosition, largest, reduce, softmax } from "../ops/Reduction.ts"
import type { Reduction } from "../ops/Reduction.ts"
import { fail, splat } from "../Recording.ts"
import { dtypeOf } from "./ElementwiseKernels.ts"
import type { Kernel } from "./Kernel.ts"
import { kernel } from "./Kernel.ts"

type Axes = number | ReadonlyArray<number> | null | undefined

const reduction = (name: string, op: Reduction, note: string, prepare: (x: Value) => Value) =>
  kernel(name, note, ({ x }, { axis, reductionIndices, keepDims }) =>
    reduce(op, prepare(x!), axesOf((reductionIndices ?? axis) as Axes, x!.shape.length), keepDims === true)
  )

/** All and Any over bool, by way of the smallest and largest int32. */
const truth = (name: string, op: Reduction) =>
  kernel(name, "bool", ({ x }, { axis, keepDims }) =>
    cast(reduce(op, cast(x!, "int32"), axesOf(axis as Axes, x!.shape.length), keepDims === true), "bool")
  )

const activations: Readonly<Record<string, string>> = { relu: "Relu", sigmoid: "Sigmoid", elu: "Elu" }

function fusedMatmul(
  { a, b, bias }: Readonly<Record<string, Value>>,
  transposeA: boolean,
  transposeB: boolean,
  activation: string
): Value {
  const product = matmul(a!, b!, transposeA, transposeB)
  const shifted = bias === undefined ? product : binary("Add", product, bias)
  if (activation === "linear") return shifted
  return unary(
    activations[activation] ?? fail(`activation ${activation}; relu, sigmoid and elu are supported`),
    shifted
  )
}

const same = (x: Value) => x
const positionsOf = (x: Value) => cast(x, "int32")

export const arrayKernels: ReadonlyArray<Kernel> = [
  reduction("Sum", "ReduceSum", "float32, int32; bool is counted", (x) => (x.dtype === "bool" ? cast(x, "int32") : x)),
  reduction("Mean", "ReduceMean", "gives float32", (x) => cast(x, "float32")),
  reduction("Max", "ReduceMax", "float32 or int32", same),
  reduction("Min", "ReduceMin", "float32 or int32", same),
  reduction("Prod", "ReduceProd", "float32 or int32", same),
  truth("All", "ReduceMin"),
  truth("Any", "ReduceMax"),
  kernel("ArgMax", "float32 or int32; the first of equals", ({ x }, { axis }) =>
    extremePosition("ArgMax", x!, axisAttribute(axis))
  ),
  kernel("ArgMin", "float32 or int32; the first of equals", ({ x }, { axis }) =>
    extremePosition("ArgMin", x!, axisAttribute(axis))
  ),
  kernel("TopK", "float32; the first of equals first, always sorted", ({ x }, { k }) => largest(x!, k as number)),
  kernel("Softmax", "float32", ({ logits }, { dim }) => softmax("Softmax", logits!, dim as number)),
  kernel("LogSoftmax", "float32", ({ logits }, { axis }) => softmax("LogSoftmax", logits!, axis as number)),
  kernel("Cumsum", "float32 or int32", ({ x }, { axis, exclusive, reverse }) =>
    cumulativeSum(x!, axis as number, exclusive === true, reverse === true)
  ),
  kernel("BatchMatMul", "float32; batches broadcast", ({ a, b }, { transposeA, transposeB }) =>
    matmul(a!, b!, transposeA === true, transposeB === true)
  ),
  kernel("_FusedMatMul", "float32; bias; relu, sigmoid, elu", (inputs, { transposeA, transposeB, activation }) =>
    fusedMatmul(inputs, transposeA === true, transposeB === true, (activation as string | undefined) ?? "linear")
  ),
  kernel("GatherV2", "positions int32; batchDims with axis = batchDims", ({ x, indices }, { axis, batchDims }) =>
    gather(x!, positionsOf(indices!), axis as number, (batchDims as number | undefined) ?? 0)
  ),
  kernel("UnsortedSegmentSum", "float32; positions may repeat", ({ x, segmentIds }, { numSegments }) =>
    scatterAdd(x!, positionsOf(segmentIds!), numSegments as number)
  ),
  kernel("OneHot", "positions int32", ({ indices }, { depth, onValue, offValue, dtype }) => {
    const scalar = (number: unknown) => splat(number as number, [], dtypeOf(dtype ?? "int32"))
    return oneHot(positionsOf(indices!), depth as number, scalar(onValue), scalar(offValue))
  })
]

const axisAttribute = (axis: unknown): number => (Array.isArray(axis) ? (axis[0] as number) : (axis as number))
