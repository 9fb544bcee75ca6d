/** What TensorFlow is given for every kernel that capture knows, without TensorFlow. */
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, it } from "vitest"
import { capture, supportedKernels } from "../../src/index.ts"
import type { Graph } from "../../src/index.ts"
import { prefixed } from "../../src/HostTensors.ts"
import { stepGraph } from "../../src/Compile.ts"
import { graphModel } from "../../src/tensorflow/Training.ts"
import { lowerings } from "../../src/tensorflow/LowerOperation.ts"
import { trainingModel } from "../../src/tensorflow/TrainingModel.ts"
import { numbersFrom } from "../CompareExecutors.ts"
import { drawFrom, kernelCases } from "../KernelCases.ts"
import { tinyInputs, tinyOptimizer, tinyProgram, tinyWeights } from "../TinyProgram.ts"
import { decodeSavedModel } from "./ProtobufReader.ts"
import type { DecodedNode } from "./ProtobufReader.ts"

const specs = (
  tensors: Readonly<Record<string, { shape: ReadonlyArray<number>; dtype: "float32" | "int32" | "bool" }>>
) => Object.fromEntries(Object.entries(tensors).map(([name, { shape, dtype }]) => [name, { shape, dtype }]))

/** Every node reads nodes that stand before it (`n3:1` is the second output of one), under names that the binding takes. */
function checkNodes(nodes: ReadonlyArray<DecodedNode>): void {
  const known = new Set<string>()
  for (const { name, inputs } of nodes) {
    for (const input of inputs) expect(known).toContain(input.replace(/^\^|:1$/, ""))
    expect(name).toMatch(/^n\d+$/)
    expect(known).not.toContain(name)
    known.add(name)
  }
}

const nodesOf = (graph: Graph) => decodeSavedModel(graphModel(graph, "fp32").bytes).nodes

describe("lowering to TensorFlow", () => {
  it.each(kernelCases.map((one, index) => [`${one.kernel} (${index})`, one] as const))("knows %s", (_, one) => {
    const inputs = specs(one.inputs(drawFrom(numbersFrom(3), [2, 3, 4])))
    const graph = capture(one.kernel, inputs, (x) =>
      Object.fromEntries([one.compute(x)].flat().map((value, index) => [String(index), value]))
    )
    const operations = new Set(graph.values.map(({ op }) => op))
    operations.delete("Input")
    expect([...operations].filter((op) => lowerings[op] === undefined)).toEqual([])
    checkNodes(nodesOf(graph))
  })

  it("has every kernel among these cases", () => {
    const tested = new Set(kernelCases.map(({ kernel }) => kernel))
    expect(supportedKernels.filter((kernel) => !tested.has(kernel))).toEqual([])
  })

  it("rounds the operands of products in bf16, and not those that are sums", () => {
    const graph = capture("products", { x: { shape: [70, 4], dtype: "float32" } }, ({ x }) => ({
      product: tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D, true),
      columns: tf.sum(x!, 0),
      row: tf.matMul(tf.ones([1, 70]), x as tf.Tensor2D)
    }))
    const { nodes } = decodeSavedModel(graphModel(graph, "bf16").bytes)
    checkNodes(nodes)
    const products = nodes.filter(({ op }) => op === "MatMul")
    expect(products.map(({ attributes }) => attributes.T!.get(6))).toEqual([[14n]])
    const casts = nodes.filter(({ op }) => op === "Cast").map(({ attributes }) => [attributes.SrcT, attributes.DstT])
    expect(casts.map((pair) => pair.map((type) => type!.get(6)))).toEqual([
      [[1n], [14n]],
      [[14n], [1n]]
    ])
    expect(nodes.filter(({ op }) => op === "Sum")).toHaveLength(1)
  })
})

describe("between two products in bf16", () => {
  it("keeps what is only turned or gets a bias in bfloat16", () => {
    const specs = { x: { shape: [70, 4], dtype: "float32" }, "w:bias": { shape: [4], dtype: "float32" } } as const
    const graph = capture("chain", { ...specs, w: { shape: [4, 4], dtype: "float32" } }, (at) => {
      const [x, w] = [at.x, at.w] as [tf.Tensor2D, tf.Tensor2D]
      const turned = tf.transpose(tf.reshape(tf.add(tf.matMul(x, w), at["w:bias"]!), [10, 7, 4]), [1, 0, 2])
      return { y: tf.matMul(turned, turned, true) }
    })
    const { nodes } = decodeSavedModel(graphModel(graph, "bf16").bytes)
    checkNodes(nodes)
    const byName = new Map(nodes.map((node) => [node.name, node]))
    const upwards = (name: string): ReadonlyArray<string> => {
      const { op, inputs } = byName.get(name)!
      return [op, ...(inputs.length === 0 || op === "MatMul" ? [] : upwards(inputs[0]!))]
    }
    const product = nodes.find(({ op }) => op === "BatchMatMulV2")!
    expect(upwards(product.inputs[0]!)).toEqual(["Transpose", "Reshape", "BiasAdd", "MatMul"])
  })
})

describe("a training as one model", () => {
  const sizes = { B: 3, T: 5, V: 11, D: 8, Q: 4 }
  const program = tinyProgram(sizes)
  const weights = specs(tinyWeights(sizes, 1))
  const twin = Object.fromEntries(program.twin.map((name) => [name, weights[name]!]))
  const own = { weights, frozen: {}, twin, ema: weights, state: program.state }
  const graph = stepGraph(program, own, specs(tinyInputs(sizes, 1)), 0.995)
  const trained = Object.keys(weights).filter((name) => name !== "idle")
  const { bytes, entries, variables } = trainingModel({ own, optimizer: tinyOptimizer, trained, graph }, "fp32")
  const { nodes } = decodeSavedModel(bytes)
  const byName = new Map(nodes.map((node) => [node.name, node]))

  it("keeps every tensor that outlives a step in a variable of its name", () => {
    checkNodes(nodes)
    const all = (prefix: string, names: ReadonlyArray<string>) =>
      Object.keys(prefixed(prefix, Object.fromEntries(names.map((name) => [name, 0]))))
    expect(Object.keys(variables).toSorted()).toEqual(
      [
        ...all("w:", Object.keys(weights)),
        ...all("t:", program.twin),
        "s:queue",
        ...["g:", "m:", "v:", "n:"].flatMap((prefix) => all(prefix, trained))
      ].toSorted()
    )
  })

  it("feeds a step with its inputs only, and gives losses, norm and outputs", () => {
    expect(Object.keys(entries.step!.feeds).toSorted()).toEqual(["x:ids", "x:noise"])
    expect(Object.keys(entries.step!.fetches).toSorted()).toEqual(
      ["grad_norm", "l:contrastive_loss", "l:noise_loss", "total", "y:best", "y:enqueue"].toSorted()
    )
    expect(entries.step!.assigned.toSorted()).toEqual(trained.map((name) => `g:${name}`).toSorted())
    expect(entries["write:s:queue"]!.variables).toEqual(["s:queue"])
  })

  it("orders twin, decay, Adam, clamp and average by edges", () => {
    /** All nodes that have to run before this one. */
    const before = (name: string, seen = new Set<string>()): ReadonlySet<string> => {
      for (const input of byName.get(name)!.inputs.map((one) => one.replace("^", ""))) {
        if (seen.has(input)) continue
        seen.add(input)
        before(input, seen)
      }
      return seen
    }
    const handle = (name: string) =>
      nodes.find(
        ({ op, attributes }) =>
          op === "VarHandleOp" && new TextDecoder().decode(attributes.shared_name!.get(2)![0] as Uint8Array) === name
      )!.name
    const needed = before(entries.update!.done!)
    const writes = (name: string) =>
      nodes.filter((node) => node.op === "AssignVariableOp" && node.inputs[0] === handle(name) && needed.has(node.name))
    const adam = (name: string) =>
      nodes.find((node) => node.op === "ResourceApplyAdam" && node.inputs[0] === handle(name))!
    const table = before(adam("w:table").name)
    expect(writes("t:table").every(({ name }) => table.has(name))).toBe(true)
    expect(writes("w:table")).toHaveLength(1)
    expect(table.has(writes("w:table")[0]!.name)).toBe(true)
    const [clamp] = writes("w:scale")
    expect(before(clamp!.name).has(adam("w:scale").name)).toBe(true)
    expect(before(writes("n:scale")[0]!.name).has(clamp!.name)).toBe(true)
    expect(variables["n:idle"]).toBeUndefined()
  })
})
