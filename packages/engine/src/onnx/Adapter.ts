/**
 * The WebGPU adapter, told by what it computes: ONNX Runtime's binding doesn't say which one it took. Two adapters that round a few products, sums and
 * exponentials alike have one name.
 */
import { createHash } from "node:crypto"
import type { Tensor } from "onnxruntime-common"
import type * as Runtime from "onnxruntime-node"
import { bytesOf } from "../WireFormat.ts"
import type { HostTensor } from "../Program.ts"
import { encodeModel, plainNode } from "./Protobuf.ts"

const side = 64

/** Its output has the operation's name. */
const node = (op: string, ...inputs: ReadonlyArray<string>) => plainNode(op, inputs, op)

const nodes = [
  node("MatMul", "x", "x"),
  node("Exp", "x"),
  node("Softmax", "MatMul"),
  node("Tanh", "x"),
  node("Erf", "x"),
  node("Div", "x", "Exp"),
  node("Sqrt", "Exp"),
  node("Log", "Exp"),
  node("ReduceSum", "MatMul")
]

/** Numbers from -2 to 2 whose products round. */
const numbers = Float32Array.from({ length: side * side }, (_, index) => (((index * 7919) % 4093) / 4093) * 4 - 2)

/** Eight hexadecimal digits. Fails where there is no adapter. */
export async function adapterBits(runtime: typeof Runtime): Promise<string> {
  const model = encodeModel({
    name: "adapter",
    nodes,
    initializers: [],
    inputs: [{ name: "x", dtype: "float32", shape: [side, side] }],
    outputs: nodes.map(({ op }) => ({ name: op, dtype: "float32" }))
  })
  const session = await runtime.InferenceSession.create(model, {
    executionProviders: ["webgpu"],
    graphOptimizationLevel: "disabled",
    logSeverityLevel: 3
  })
  const results = await session.run({ x: new runtime.Tensor("float32", numbers, [side, side]) })
  await session.release()
  const hash = createHash("sha256")
  for (const { op } of nodes) hash.update(bytesOf((results[op] as Tensor).data as HostTensor["data"]))
  return hash.digest("hex").slice(0, 8)
}
