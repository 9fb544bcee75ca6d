/**
 * Where a model's numbers stand: sizes, axes and places as int64 vectors, scalars, constants.
 *
 * `storedOperands`: in the model, each content once, so that ONNX Runtime can look at them. `givenOperands`: those that hang on a text's
 * length are inputs, named by their place. Two captures of a program at other lengths then give the same model to the byte, and one session
 * with one memory serves both.
 */
import type { Value } from "../Graph.ts"
import { sizeOf } from "../Graph.ts"
import { arrayClass } from "../HostTensors.ts"
import type { DType, HostTensor, HostTensors } from "../Program.ts"
import { bytesOf } from "../WireFormat.ts"
import { elementType } from "./Protobuf.ts"
import type { OnnxInitializer, OnnxNode, OnnxValue } from "./Protobuf.ts"

export type Data = HostTensor["data"]

/** What an operation asks for; `integers` and `scalar` give the name. */
export interface Operands {
  readonly integers: (numbers: ReadonlyArray<number>) => string
  readonly scalar: (number: number, dtype: DType) => string
  readonly tensor: (name: string, value: Value, data: Data) => void
  /** Whether a Splat is a tensor; otherwise it is expanded at run time. */
  readonly isStored: (splat: Value) => boolean
}

/** What came of it. */
export interface OperandsMade {
  readonly initializers: ReadonlyArray<OnnxInitializer>
  /** Go before all others. */
  readonly nodes: ReadonlyArray<OnnxNode>
  readonly inputs: ReadonlyArray<OnnxValue>
  /** The tensors for these inputs. */
  readonly given: HostTensors
}

export interface OperandsMaker extends Operands {
  readonly made: () => OperandsMade
}

export const filled = (number: number, dtype: DType, length: number): Data => new arrayClass[dtype](length).fill(number)

/** Splats up to this size are stored, larger ones expanded. */
const storedSplat = 4096

const int64 = (name: string, numbers: ReadonlyArray<number>): OnnxInitializer => ({
  name,
  dtype: "int64",
  shape: [numbers.length],
  bytes: bytesOf(BigInt64Array.from(numbers, BigInt))
})

const scalarOf = (number: number, dtype: DType): OnnxInitializer => ({
  name: `#${dtype} ${number}`,
  dtype,
  shape: [],
  bytes: bytesOf(filled(number, dtype, 1))
})

/** Initializers by name, each once. */
class Initializers extends Map<string, OnnxInitializer> {
  share(initializer: OnnxInitializer): string {
    if (!this.has(initializer.name)) this.set(initializer.name, initializer)
    return initializer.name
  }
}

export function storedOperands(): OperandsMaker {
  const initializers = new Initializers()
  return {
    integers: (numbers) => initializers.share(int64(`#${numbers.join(",")}`, numbers)),
    scalar: (number, dtype) => initializers.share(scalarOf(number, dtype)),
    tensor: (name, { dtype, shape }, data) => void initializers.share({ name, dtype, shape, bytes: bytesOf(data) }),
    isStored: ({ shape }) => sizeOf(shape) <= storedSplat,
    made: () => ({ initializers: [...initializers.values()], nodes: [], inputs: [], given: {} })
  }
}

const integers = "#integers"
const wide = "#integers.int64"

/** All vectors come as one int32 input, `#integers`, which is split: a run has a price for each tensor it is given. */
export function givenOperands(): OperandsMaker {
  const initializers = new Initializers()
  const constants: Record<string, HostTensor> = {}
  const vectors: Array<ReadonlyArray<number>> = []
  return {
    integers: (numbers) => `#${vectors.push(numbers) - 1}`,
    scalar: (number, dtype) => initializers.share(scalarOf(number, dtype)),
    tensor: (name, { dtype, shape }, data) => {
      if (shape.length === 0) initializers.share({ name, dtype, shape, bytes: bytesOf(data) })
      else constants[name] = { dtype, shape, data }
    },
    isStored: ({ shape }) => shape.length === 0,
    made: () => {
      const data = Int32Array.from(vectors.flat())
      const given = { [integers]: { dtype: "int32", shape: [data.length], data }, ...constants } as const
      const lengths = int64(
        `${integers}.lengths`,
        vectors.map(({ length }) => length)
      )
      const parts = vectors.map((_, index) => `#${index}`)
      return {
        initializers: [lengths, ...initializers.values()],
        nodes: [
          { op: "Cast", inputs: [integers], outputs: [wide], attributes: { to: elementType.int64 }, domain: "" },
          { op: "Split", inputs: [wide, lengths.name], outputs: parts, attributes: { axis: 0 }, domain: "" }
        ],
        inputs: Object.entries(given).map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
        given
      }
    }
  }
}
