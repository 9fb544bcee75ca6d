/**
 * A TensorFlow graph in the making. Node names are made here, because the binding splits them at "," and ":"; sizes and other integer
 * operands are constants, shared by content.
 */
import { bytesOf } from "../WireFormat.ts"
import type { DType } from "../Program.ts"
import type { TensorflowAttribute, TensorflowNode, TensorflowType } from "./SavedModel.ts"

/** What matrix products are computed in; everything else, and what products are added up in, is float32. */
export type Precision = "fp32" | "bf16"

export type Attributes = Readonly<Record<string, TensorflowAttribute>>

/** The attribute T of most operations. */
export const ofType = (type: TensorflowType): Attributes => ({ T: { type } })

export class GraphBuilder {
  readonly nodes: Array<TensorflowNode> = []
  readonly precision: Precision
  readonly #shared = new Map<string, string>()
  readonly #roundings = new Map<string, () => string>()
  #names = 0

  constructor(precision: Precision) {
    this.precision = precision
  }

  /** A node; its name is the name of its first output. */
  node(op: string, inputs: ReadonlyArray<string>, attributes: Attributes = {}): string {
    const name = `n${this.#names++}`
    this.nodes.push({ name, op, inputs, attributes })
    return name
  }

  /** The node already made for this key, or a new one. */
  once(key: string, make: () => string): string {
    const known = this.#shared.get(key)
    if (known !== undefined) return known
    const name = make()
    this.#shared.set(key, name)
    return name
  }

  placeholder(dtype: DType, shape: ReadonlyArray<number>): string {
    return this.node("Placeholder", [], { dtype: { type: dtype }, shape: { shape } })
  }

  /** One number in every element. */
  splat(number: number, dtype: DType, shape: ReadonlyArray<number> = []): string {
    const tensor = { dtype, shape, content: number }
    return this.once(`${dtype} ${number} [${shape.join()}]`, () =>
      this.node("Const", [], { dtype: { type: dtype }, value: { tensor } })
    )
  }

  constant(data: Float32Array | Int32Array | Uint8Array, dtype: DType, shape: ReadonlyArray<number>): string {
    const tensor = { dtype, shape, content: bytesOf(data) }
    return this.node("Const", [], { dtype: { type: dtype }, value: { tensor } })
  }

  /** int32 [n] */
  integers(numbers: ReadonlyArray<number>): string {
    return this.once(`#${numbers.join()}`, () => this.constant(Int32Array.from(numbers), "int32", [numbers.length]))
  }

  /** int32 [rows, numbers / rows] */
  table(rows: number, numbers: ReadonlyArray<number>): string {
    return this.constant(Int32Array.from(numbers), "int32", [rows, numbers.length / rows])
  }

  cast(x: string, from: TensorflowType, to: TensorflowType): string {
    return this.once(`${x} as ${to}`, () => this.#cast(x, from, to))
  }

  /** A float32 node in bfloat16. */
  rounded(x: string): string {
    return this.once(`${x} as bfloat16`, () => this.#roundings.get(x)?.() ?? this.#cast(x, "float32", "bfloat16"))
  }

  /** How to have a float32 node in bfloat16 otherwise than by rounding it; called where it is wanted. */
  rounding(x: string, make: () => string): void {
    this.#roundings.set(x, make)
  }

  #cast(x: string, from: TensorflowType, to: TensorflowType): string {
    return this.node("Cast", [x], { SrcT: { type: from }, DstT: { type: to } })
  }
}
