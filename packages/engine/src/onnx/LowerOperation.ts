/** One operation of a graph as one or a few ONNX nodes. */
import type { Value } from "../Graph.ts"
import { sizeOf } from "../Graph.ts"
import type { Emitter } from "./Lower.ts"
import { filled } from "./Operands.ts"
import { elementType } from "./Protobuf.ts"

type Lowering = (value: Value, emitter: Emitter, inputs: ReadonlyArray<string>, output: string) => void

const microsoft = "com.microsoft"
const numbers = (value: Value, attribute: string) => value.attributes[attribute] as ReadonlyArray<number>
const number = (value: Value, attribute: string) => value.attributes[attribute] as number
const flag = (value: Value, attribute: string) => Number(value.attributes[attribute])

const plain: Lowering = (value, { node }, inputs, output) => node(value.op, inputs, output)

const withAxis: Lowering = (value, { node }, inputs, output) =>
  node(value.op, inputs, output, { axis: number(value, "axis") })

const toShape: Lowering = (value, { node, integers }, [x], output) =>
  node(value.op, [x!, integers(value.shape)], output)

const reduction: Lowering = (value, { node, integers }, [x], output) =>
  node(value.op, [x!, integers(numbers(value, "axes"))], output, { keepdims: 1 })

const position: Lowering = (value, { node }, inputs, output) => {
  node(value.op, inputs, `${output}.int64`, { axis: number(value, "axis"), keepdims: 0 })
  node("Cast", [`${output}.int64`], output, { to: elementType.int32 })
}

/** Its name is that of the values; the positions are an Out. */
const topK: Lowering = (value, { node, nodeOf, integers }, [x], output) => {
  const positions = `${output}.int64`
  nodeOf("TopK", [x!, integers([number(value, "count")])], [output, positions], { axis: -1, largest: 1, sorted: 1 })
  node("Cast", [positions], `${output}.1`, { to: elementType.int32 })
}

/** The last two axes changed over. */
const transposed = (rank: number): ReadonlyArray<number> => [...Array(rank - 2).keys(), rank - 1, rank - 2]

/** FusedMatMul reads a transposed operand in place; the copy that a Transpose node makes costs more. WebGPU doesn't have it. */
const fusedMatmul: Lowering = (value, { node, scalar, device }, inputs, output) => {
  const transposes = { transA: flag(value, "transposeA"), transB: flag(value, "transposeB") }
  const alpha = value.attributes["alpha"]
  const scale = typeof alpha === "number" ? { alpha: { float: alpha } } : {}
  if (device === "cpu") return node("FusedMatMul", inputs, output, { ...transposes, ...scale }, microsoft)
  const operands = inputs.map((input, index) => {
    if (flag(value, index === 0 ? "transposeA" : "transposeB") === 0) return input
    const copy = `${output}.transposed${index}`
    node("Transpose", [input], copy, { perm: transposed(value.inputs[index]!.shape.length) })
    return copy
  })
  if (typeof alpha !== "number") return node("MatMul", operands, output)
  node("MatMul", operands, `${output}.product`)
  node("Mul", [`${output}.product`, scalar(alpha, "float32")], output)
}

const matmul: Lowering = (value, emitter, inputs, output) => {
  const { node, int8 } = emitter
  const held = int8(value)
  if (held !== undefined)
    return node("DynamicQuantizeMatMul", [inputs[0]!, held.values, held.scales], output, {}, microsoft)
  const transposes = { transA: flag(value, "transposeA"), transB: flag(value, "transposeB") }
  if (value.attributes["alpha"] !== undefined) return fusedMatmul(value, emitter, inputs, output)
  if (transposes.transA + transposes.transB === 0) return node("MatMul", inputs, output)
  const flat = value.inputs.every((operand) => operand.shape.length === 2)
  if (flat) return node("Gemm", inputs, output, transposes)
  fusedMatmul(value, emitter, inputs, output)
}

/** WebGPU has no LogSoftmax, and would send the rows to the processor. */
const logSoftmax: Lowering = (value, emitter, [x], output) => {
  const { node, integers, device } = emitter
  if (device === "cpu") return withAxis(value, emitter, [x!], output)
  const axis = integers([number(value, "axis")])
  const part = (name: string) => `${output}.${name}`
  node("ReduceMax", [x!, axis], part("max"), { keepdims: 1 })
  node("Sub", [x!, part("max")], part("shifted"))
  node("Exp", [part("shifted")], part("exp"))
  node("ReduceSum", [part("exp"), axis], part("sum"), { keepdims: 1 })
  node("Log", [part("sum")], part("log"))
  node("Sub", [part("shifted"), part("log")], output)
}

const slice: Lowering = (value, { node, integers }, [x], output) => {
  const [begin, size, step] = [numbers(value, "begin"), numbers(value, "size"), numbers(value, "step")]
  const end = begin.map((start, index) => {
    const after = start + size[index]! * step[index]!
    // Going backwards, the end before element 0 is any number below minus the length.
    return after < 0 ? -value.inputs[0]!.shape[numbers(value, "axes")[index]!]! - 1 : after
  })
  node("Slice", [x!, integers(begin), integers(end), integers(numbers(value, "axes")), integers(step)], output)
}

/** Rows of one product. Its other operand is as long as the positions are many. */
const portion = 4096

/**
 * A device adds what meets at one position in whatever order it comes, and the last bits differ from run to run. A product with zeros and ones gives
 * the same every time.
 */
const scatterAddByProducts: Lowering = (value, { node, integers, scalar }, [rows, positions, into], output) => {
  const [count] = value.inputs[0]!.shape as [number]
  const [all] = value.shape as [number]
  node("Reshape", [positions!, integers([1, count])], `${output}.columns`)
  const parts: Array<string> = []
  for (let from = 0; from < all; from += portion) {
    const to = Math.min(all, from + portion)
    const part = (name: string) => `${output}.${from}.${name}`
    node("Range", [scalar(from, "int32"), scalar(to, "int32"), scalar(1, "int32")], part("numbers"))
    node("Reshape", [part("numbers"), integers([to - from, 1])], part("column"))
    node("Equal", [part("column"), `${output}.columns`], part("hit"))
    node("Cast", [part("hit")], part("ones"), { to: elementType.float32 })
    node("MatMul", [part("ones"), rows!], part("sums"))
    parts.push(part("sums"))
  }
  const sums = into === undefined ? output : `${output}.sums`
  node("Concat", parts, sums, { axis: 0 })
  if (into !== undefined) node("Add", [into, sums], output)
}

/**
 * ScatterND with reduction "add" would be the natural operation, but ONNX Runtime 1.30 loses updates in it when a position
 * repeats and it runs on several threads. ScatterElements adds one by one.
 */
const scatterAdd: Lowering = (value, emitter, inputs, output) => {
  const { node, integers, scalar, device } = emitter
  if (device !== "cpu") return scatterAddByProducts(value, emitter, inputs, output)
  const [rows, positions, into] = inputs
  const [count, width] = value.inputs[0]!.shape as [number, number]
  if (into === undefined) node("Expand", [scalar(0, "float32"), integers(value.shape)], `${output}.zeros`)
  node("Reshape", [positions!, integers([count, 1])], `${output}.column`)
  node("Expand", [`${output}.column`, integers([count, width])], `${output}.positions`)
  node("ScatterElements", [into ?? `${output}.zeros`, `${output}.positions`, rows!], output, {
    axis: 0,
    reduction: "add"
  })
}

const splat: Lowering = (value, { node, scalar, integers, tensor, isStored }, _, output) => {
  const fill = number(value, "value")
  if (isStored(value)) return tensor(output, value, filled(fill, value.dtype, sizeOf(value.shape)))
  return node("Expand", [scalar(fill, value.dtype), integers(value.shape)], output)
}

const lowerings: Readonly<Record<string, Lowering>> = {
  Input: () => {},
  Out: () => {},
  Constant: (value, { tensor }, _, output) => tensor(output, value, value.data!),
  Splat: splat,
  Cast: (value, { node }, inputs, output) => node("Cast", inputs, output, { to: elementType[value.dtype] }),
  Expand: toShape,
  Reshape: toShape,
  Transpose: (value, { node }, inputs, output) => node("Transpose", inputs, output, { perm: numbers(value, "perm") }),
  Concat: withAxis,
  Gather: withAxis,
  GatherElements: withAxis,
  AddAt: (_, { node }, inputs, output) => node("ScatterElements", inputs, output, { axis: 1, reduction: "add" }),
  Softmax: withAxis,
  LogSoftmax: logSoftmax,
  Slice: slice,
  Tile: (value, { node, integers }, [x], output) => node("Tile", [x!, integers(numbers(value, "repeats"))], output),
  Pad: (value, { node, integers, scalar }, [x], output) =>
    node("Pad", [x!, integers(numbers(value, "pads")), scalar(number(value, "fill"), value.dtype)], output),
  ReduceSum: reduction,
  ReduceSumSquare: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  ArgMax: position,
  ArgMin: position,
  TopK: topK,
  CumSum: (value, { node, scalar }, [x], output) =>
    node("CumSum", [x!, scalar(number(value, "axis"), "int32")], output, {
      exclusive: flag(value, "exclusive"),
      reverse: flag(value, "reverse")
    }),
  MatMul: matmul,
  ScatterAdd: scatterAdd,
  LayerNormalization: (value, { nodeOf }, inputs, output) =>
    nodeOf("LayerNormalization", inputs, [output, `${output}.1`, `${output}.2`], {
      axis: -1,
      epsilon: { float: number(value, "epsilon") }
    }),
  QuickGelu: (_, { node }, inputs, output) => node("QuickGelu", inputs, output, { alpha: { float: 1.702 } }, microsoft)
}

export function lowerOperation(value: Value, emitter: Emitter): void {
  const lowering = lowerings[value.op] ?? plain
  lowering(value, emitter, value.inputs.map(emitter.nameOf), emitter.nameOf(value))
}
