/**
 * What a device does with tensors that stay there, each a model of a node or two for tensors of any shape:
 *
 *   identity        there and back, and a copy
 *   rows            of the first axis, by number
 *   written blocks  a tensor cut into blocks of one length, some of them replaced
 *
 * ONNX Runtime 1.30's WebGPU writes nothing into a tensor that it is given for an output, and says nothing of it. So every result is a new tensor,
 * and the old one is let go of.
 */
import type { InferenceSession, Tensor } from "onnxruntime-common"
import type * as Runtime from "onnxruntime-node"
import type { DType, HostTensor } from "../Program.ts"
import { toHost } from "./HostMemory.ts"
import { encodeModel, plainNode } from "./Protobuf.ts"
import type { OnnxNode, OnnxType } from "./Protobuf.ts"

type Name = "upload" | "download" | "rows" | "write"

interface Small {
  readonly nodes: ReadonlyArray<OnnxNode>
  /** Beside `x`. */
  readonly inputs: (dtype: DType) => Readonly<Record<string, OnnxType>>
}

const identity: Small = { nodes: [plainNode("Identity", ["x"], "y")], inputs: () => ({}) }

const models: Readonly<Record<Name, Small>> = {
  upload: identity,
  download: identity,
  rows: { nodes: [plainNode("Gather", ["x", "rows"], "y")], inputs: () => ({ rows: "int32" }) },
  write: {
    nodes: [
      plainNode("Reshape", ["x", "as_blocks"], "x.blocks"),
      plainNode("Reshape", ["blocks", "as_blocks"], "blocks.blocks"),
      plainNode("ScatterND", ["x.blocks", "places", "blocks.blocks"], "y.blocks"),
      plainNode("Reshape", ["y.blocks", "shape"], "y")
    ],
    inputs: (dtype) => ({ blocks: dtype, places: "int64", as_blocks: "int64", shape: "int64" })
  }
}

const modelOf = (name: Name, dtype: DType): Uint8Array => {
  const { nodes, inputs } = models[name]
  return encodeModel({
    name,
    nodes,
    initializers: [],
    inputs: Object.entries({ x: dtype, ...inputs(dtype) }).map(([input, type]) => ({ name: input, dtype: type })),
    outputs: [{ name: "y", dtype }]
  })
}

export class DeviceTensors {
  readonly #runtime: typeof Runtime
  readonly #sessions = new Map<string, InferenceSession>()

  constructor(runtime: typeof Runtime) {
    this.#runtime = runtime
  }

  upload(tensor: HostTensor): Promise<Tensor> {
    return this.#run("upload", { x: this.toTensor(tensor) })
  }

  async download(x: Tensor): Promise<HostTensor> {
    return toHost(await this.#run("download", { x }))
  }

  copy(x: Tensor): Promise<Tensor> {
    return this.#run("upload", { x })
  }

  rows(x: Tensor, rows: Int32Array): Promise<Tensor> {
    return this.#run("rows", { x, rows: new this.#runtime.Tensor("int32", rows, [rows.length]) })
  }

  /** `x` with these blocks, which lie one after the other in `blocks`, at places that count blocks. */
  write(x: Tensor, blocks: Tensor, places: Int32Array): Promise<Tensor> {
    return this.#run("write", {
      x,
      blocks,
      places: this.#integers(places, [places.length, 1]),
      as_blocks: this.#integers([-1, blocks.size / places.length]),
      shape: this.#integers(x.dims)
    })
  }

  /** Not yet on the device: a run takes it there. */
  toTensor({ dtype, data, shape }: HostTensor): Tensor {
    return new this.#runtime.Tensor(dtype, data as never, shape)
  }

  #integers(numbers: Iterable<number>, shape?: ReadonlyArray<number>): Tensor {
    const data = BigInt64Array.from([...numbers], BigInt)
    return new this.#runtime.Tensor("int64", data, shape ?? [data.length])
  }

  async #run(name: Name, feeds: Readonly<Record<string, Tensor>> & { readonly x: Tensor }): Promise<Tensor> {
    const dtype = feeds.x.type as DType
    const key = `${name} ${dtype}`
    const session = this.#sessions.get(key) ?? (await this.#open(name, dtype))
    this.#sessions.set(key, session)
    return (await session.run(feeds)).y as Tensor
  }

  #open(name: Name, dtype: DType): Promise<InferenceSession> {
    return this.#runtime.InferenceSession.create(modelOf(name, dtype), {
      executionProviders: ["webgpu"],
      preferredOutputLocation: name === "download" ? "cpu" : "gpu-buffer",
      logSeverityLevel: 3
    })
  }
}
