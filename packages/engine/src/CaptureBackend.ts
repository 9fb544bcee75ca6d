/**
 * A tfjs backend that computes nothing: every kernel adds a value to the recording, and a tensor's data is that value.
 *
 * Only constants can be read back. Tensors of other backends that a program uses become constants of it.
 */
import type { DataType, NamedTensorInfoMap, Tensor, TensorInfo } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import "@tensorflow/tfjs-backend-cpu"
import { registerGradients } from "./gradients/Gradients.ts"
import type { Value } from "./Graph.ts"
import { showShape, sizeOf } from "./Graph.ts"
import { arrayClass } from "./HostTensors.ts"
import { compositeGradients } from "./kernels/CompositeKernels.ts"
import type { Recorded } from "./kernels/CompositeKernels.ts"
import { dtypeOf } from "./kernels/ElementwiseKernels.ts"
import { kernels } from "./kernels/Kernels.ts"
import type { Kernel } from "./kernels/Kernel.ts"
import { reshape } from "./ops/Shape.ts"
import { assertCurrent, constant, fail, inKernel, make, splatOf } from "./Recording.ts"

export const captureBackend = "capture"

type Data = Float32Array | Int32Array | Uint8Array

const isData = (values: unknown): values is Data =>
  values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array

class CaptureBackend extends tf.KernelBackend {
  readonly values = new tf.DataStorage<Value>(this, tf.engine())

  override write(values: tf.BackendValues, shape: Array<number>, dtype: DataType): object {
    const id = {}
    this.move(id, values, shape, dtype)
    return id
  }

  override move(id: object, values: tf.BackendValues, shape: Array<number>, dtype: DataType): void {
    const kind = dtypeOf(dtype)
    const data = isData(values) ? values : arrayClass[kind].from(values as unknown as ArrayLike<number>)
    this.values.set(id, constant(data, shape, kind))
  }

  override readSync(id: object): tf.BackendValues {
    const value = this.values.get(id)
    if (value.data !== undefined) return value.data
    const number = splatOf(value)
    if (number !== undefined) return new arrayClass[value.dtype](sizeOf(value.shape)).fill(number)
    return fail(
      `the ${value.op} result ${showShape(value.shape)} was read while the program is captured; only the graph runs later, so return the tensor instead`,
      "InvalidProgram"
    )
  }

  override read(id: object): Promise<tf.BackendValues> {
    return Promise.resolve(this.readSync(id))
  }

  override disposeData(id: object): boolean {
    this.values.delete(id)
    return true
  }

  override refCount(): number {
    return 1
  }

  override incRef(): void {}

  override numDataIds(): number {
    return this.values.numDataIds()
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true }
  }

  override floatPrecision(): 16 | 32 {
    return 32
  }

  override epsilon(): number {
    return 1e-7
  }

  override dispose(): void {}
}

const backend = new CaptureBackend()

export const valueOf = (tensor: TensorInfo): Value => assertCurrent(backend.values.get(tensor.dataId))

function infoOf(value: Value): TensorInfo {
  const dataId = {}
  backend.values.set(dataId, value)
  return { dataId, shape: [...value.shape], dtype: value.dtype }
}

export const tensorOf = (value: Value): Tensor => tf.engine().makeTensorFromTensorInfo(infoOf(value))

function register({ name, build }: Kernel): void {
  const kernelFunc = ({ inputs, attrs }: { inputs: NamedTensorInfoMap; attrs?: tf.NamedAttrMap }) =>
    inKernel(name, () => {
      const given = Object.entries(inputs).filter(([, info]) => info !== undefined && info !== null)
      const result = build(Object.fromEntries(given.map(([key, info]) => [key, valueOf(info!)])), attrs ?? {})
      return Array.isArray(result) ? result.map(infoOf) : infoOf(result as Value)
    })
  tf.registerKernel({ kernelName: name, backendName: captureBackend, kernelFunc })
}

const recorded: Recorded = {
  moments: (y) => {
    const value = valueOf(y)
    const rows = [...value.shape.slice(0, -1), 1]
    const further = (index: number) => tensorOf(make("Out", [value], rows, "float32", { index }))
    return { mean: further(1), reciprocal: further(2) }
  },
  addAt: (x, positions, values) => {
    const column = reshape(valueOf(positions), values.shape)
    return tensorOf(make("AddAt", [valueOf(x), column, valueOf(values)], x.shape, "float32"))
  }
}

// Without this, tfjs prints an advertisement for its native build to stderr at the first tensor.
tf.enableProdMode()
tf.registerBackend(captureBackend, () => backend, 0)
kernels.forEach(register)

/** Again, after another package has registered its own. */
export const registerEngineGradients = (): void => registerGradients(compositeGradients(recorded))

registerEngineGradients()
