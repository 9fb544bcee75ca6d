import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { describe, expect, it } from "vitest"
import type { EngineError, Tensors } from "../src/index.ts"
import { capture, graphDigest, printGraph } from "../src/index.ts"
import { gelu, layerNorm } from "./TinyProgram.ts"

const specs = {
  x: { shape: [2, 3], dtype: "float32" },
  w: { shape: [4, 3], dtype: "float32" },
  ids: { shape: [2], dtype: "int32" }
} as const
const graphOf = (build: (at: Tensors) => Tensor) => capture("demo", specs, (at) => ({ y: build(at) }))
const opsOf = (build: (at: Tensors) => Tensor) =>
  graphOf(build)
    .values.map(({ op }) => op)
    .filter((op) => op !== "Input")

function errorOf(build: () => unknown): EngineError {
  try {
    build()
  } catch (cause) {
    return cause as EngineError
  }
  throw new Error("nothing was thrown")
}

describe("capture", () => {
  it("prints a program's graph", () => {
    const graph = graphOf(({ x, w }) =>
      tf.mean(gelu(layerNorm(tf.matMul(x!, tf.transpose(w!)), tf.ones([4]), tf.zeros([4]))))
    )
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph demo
        %0 = Input() {name=x} : float32[2,3]
        %1 = Input() {name=w} : float32[4,3]
        %2 = MatMul(%0, %1) {transposeA=false transposeB=true} : float32[2,4]
        %3 = Splat() {value=1} : float32[4]
        %4 = Splat() {value=0} : float32[4]
        %5 = LayerNormalization(%2, %3, %4) {epsilon=0.00001} : float32[2,4]
        %6 = Gelu(%5) : float32[2,4]
        %7 = ReduceMean(%6) {axes=[0,1]} : float32[1,1]
        %8 = Reshape(%7) : float32[]
        return y = %8
      "
    `)
  })

  it("prints a gradient's graph", () => {
    const graph = graphOf(({ x, w }) =>
      tf.grad((weight: Tensor) => tf.sum(tf.softmax(tf.matMul(x!, weight as tf.Tensor2D, false, true))))(w!)
    )
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph demo
        %0 = Input() {name=x} : float32[2,3]
        %1 = Input() {name=w} : float32[4,3]
        %2 = MatMul(%0, %1) {transposeA=false transposeB=true} : float32[2,4]
        %3 = Softmax(%2) {axis=1} : float32[2,4]
        %4 = Splat() {value=1} : float32[2,4]
        %5 = ReduceSum(%3) {axes=[1]} : float32[2,1]
        %6 = Sub(%4, %5) : float32[2,4]
        %7 = Mul(%6, %3) : float32[2,4]
        %8 = MatMul(%7, %0) {transposeA=true transposeB=false} : float32[4,3]
        return y = %8
      "
    `)
  })

  it("leaves out what no output needs, and inputs that nothing reads", () => {
    const graph = graphOf(({ x, w }) => {
      tf.matMul(x!, w!, false, true)
      return tf.exp(x!)
    })
    expect(graph.values.map(({ op }) => op)).toEqual(["Input", "Exp"])
    expect(Object.keys(graph.inputs)).toEqual(["x"])
  })

  it("computes a common subexpression once", () => {
    expect(opsOf(({ x }) => tf.mul(tf.exp(tf.add(x!, 1)), tf.exp(tf.add(x!, 1))))).toEqual([
      "Splat",
      "Add",
      "Exp",
      "Mul"
    ])
  })

  it.each<readonly [string, (at: Tensors) => Tensor, ReadonlyArray<string>]>([
    ["x + 0", ({ x }) => tf.add(x!, 0), []],
    ["x * 1", ({ x }) => tf.mul(x!, tf.ones([2, 3])), []],
    ["x * 0", ({ x }) => tf.mul(x!, tf.zerosLike(x!)), ["Splat"]],
    ["--x", ({ x }) => tf.neg(tf.neg(x!)), []],
    ["x + -y", ({ x }) => tf.add(x!, tf.neg(tf.exp(x!))), ["Exp", "Sub"]],
    ["2 * 3 of constants", ({ x }) => tf.add(tf.mul(tf.scalar(2), tf.scalar(3)), x!), ["Splat", "Add"]],
    ["x^2", ({ x }) => tf.pow(x!, tf.scalar(2)), ["Mul"]],
    ["a reshape of a reshape", ({ x }) => tf.reshape(tf.reshape(x!, [6]), [3, 2]), ["Reshape"]],
    ["a transpose of a transpose", ({ x }) => tf.transpose(tf.transpose(x!)), []],
    ["a transpose of length-1 axes", ({ x }) => tf.transpose(tf.reshape(x!, [2, 1, 3]), [1, 0, 2]), ["Reshape"]],
    ["a full slice", ({ x }) => tf.slice(x!, [0, 0], [2, 3]), []],
    [
      "a broadcast before an addition",
      ({ x }) => tf.add(tf.broadcastTo(tf.slice(x!, [0, 0], [1, 3]), [2, 3]), x!),
      ["Slice", "Add"]
    ],
    ["a cast to the same dtype", ({ x }) => tf.cast(x!, "float32"), []]
  ])("simplifies %s", (_, build, ops) => expect(opsOf(build)).toEqual(ops))

  it.each<readonly [string, (at: Tensors) => unknown, Partial<EngineError>, string]>([
    ["unknown kernels", ({ x }) => tf.atan(x!), { reason: "UnsupportedKernel", op: "Atan" }, "docs/kernels.md"],
    [
      "kernels without a gradient",
      ({ x }) => tf.grad((t: Tensor) => tf.sum(tf.prod(t)))(x!),
      { reason: "UnsupportedKernel", op: "Prod" },
      "no gradient"
    ],
    [
      "inner lengths",
      ({ x, w }) => tf.matMul(x!, w!),
      { reason: "ShapeMismatch", op: "BatchMatMul" },
      "[2,3] by [4,3] is 3 against 4"
    ],
    [
      "broadcasts",
      ({ x }) => tf.add(x!, tf.tensor([1, 2])),
      { reason: "ShapeMismatch", op: "Add" },
      "[2,3] and [2] don't broadcast"
    ],
    ["reshapes", ({ x }) => tf.reshape(x!, [5]), { reason: "ShapeMismatch", op: "Reshape" }, "6 elements, [5] has 5"],
    [
      "dtypes",
      ({ x, ids }) => tf.engine().runKernel("Add", { a: x!, b: ids! }),
      { reason: "ShapeMismatch", op: "Add" },
      "float32 and int32"
    ],
    ["empty results", ({ x }) => tf.slice(x!, [0, 0], [0, 3]), { reason: "ShapeMismatch", op: "Slice" }, "[0,3]"],
    [
      "reads",
      ({ x }) => tf.tensor(tf.exp(x!).dataSync()),
      { reason: "InvalidProgram" },
      "was read while the program is captured"
    ],
    [
      "other dtypes",
      ({ x }) => tf.add(tf.tensor(["a"], [1], "string").size, x!),
      { reason: "InvalidProgram" },
      "string"
    ],
    ["tfjs's own checks", ({ x }) => tf.concat([x!, tf.reshape(x!, [3, 2])], 0), { reason: "ShapeMismatch" }, "demo"]
  ])("refuses %s, by name", (_, build, expected, detail) => {
    const error = errorOf(() => graphOf((at) => build(at) as Tensor))
    expect(error).toMatchObject({ _tag: "EngineError", program: "demo", ...expected })
    expect(error.message).toContain(detail)
  })

  it("refuses a program without outputs", () => {
    expect(errorOf(() => capture("demo", specs, () => ({}))).message).toBe("demo: the program gives no outputs")
  })

  it("refuses a tensor kept from an earlier capture", () => {
    let kept: Tensor | undefined
    graphOf(({ x }) => {
      kept = tf.keep(tf.exp(x!))
      return x!
    })
    expect(errorOf(() => graphOf(({ x }) => tf.add(x!, kept!))).message).toContain("must not keep tensors between runs")
  })

  it("gives equal programs equal digests, whatever their names, and other constants other ones", () => {
    const masked = (name: string, last: number) =>
      graphDigest(
        capture(name, specs, ({ x }) => ({
          y: tf.mul(
            tf.reshape(x!, [1, 6]),
            tf.tensor([
              [1, 2, 3, 4, 5, 6],
              [1, 2, 3, 4, 5, last]
            ])
          )
        }))
      )
    expect(masked("one", 7)).toMatch(/^[0-9a-f]{64}$/)
    expect(masked("two", 7)).toBe(masked("one", 7))
    expect(masked("one", 8)).not.toBe(masked("one", 7))
  })

  it("restores the active backend, also after an error", async () => {
    await tf.setBackend("cpu")
    graphOf(({ x }) => x!)
    errorOf(() => graphOf(({ x }) => tf.atan(x!)))
    expect(tf.getBackend()).toBe("cpu")
    expect(tf.add(tf.scalar(1), 2).dataSync()[0]).toBe(3)
  })

  it("keeps a tensor of another backend usable after it became a constant", async () => {
    await tf.setBackend("cpu")
    const mask = tf.tensor([1, 2, 3])
    const ops = opsOf(({ x }) => tf.mul(x!, mask))
    expect(ops).toEqual(["Constant", "Mul"])
    expect([...tf.add(mask, 1).dataSync()]).toEqual([2, 3, 4])
  })

  it("leaks no tensors", () => {
    const before = tf.memory().numTensors
    graphOf(({ x, w }) => tf.grad((weight: Tensor) => tf.sum(tf.matMul(x!, weight as tf.Tensor2D, false, true)))(w!))
    expect(tf.memory().numTensors).toBe(before)
  })
})
