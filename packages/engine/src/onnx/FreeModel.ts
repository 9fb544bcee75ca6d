/** An ONNX model in the making that computes sizes from its inputs' shapes. Vectors of sizes are int64. */
import type { DType } from "../Program.ts"
import { bytesOf } from "../WireFormat.ts"
import type { Data } from "./Operands.ts"
import { elementType } from "./Protobuf.ts"
import type { OnnxInitializer, OnnxNode } from "./Protobuf.ts"
import type { Product } from "./SizeProducts.ts"

/** An input of the model: a number is a size, a word is the name of a free one. Integers come in as int64. */
export interface FreeInput {
  readonly dtype: "float32" | "int64"
  readonly shape: ReadonlyArray<number | string>
}

/** Nodes and initializers of the model, and the sizes it computes once each. */
export class FreeModel {
  readonly nodes: Array<OnnxNode> = []
  readonly initializers = new Map<string, OnnxInitializer>()
  /** Outputs of the nodes made here: a size is computed once. */
  readonly #made = new Set<string>()
  readonly #inputs: Readonly<Record<string, FreeInput>>

  constructor(inputs: Readonly<Record<string, FreeInput>>) {
    this.#inputs = inputs
  }

  node(op: string, inputs: ReadonlyArray<string>, output: string, attributes: OnnxNode["attributes"] = {}): string {
    if (!this.#made.has(output)) this.nodes.push({ op, inputs, outputs: [output], attributes, domain: "" })
    this.#made.add(output)
    return output
  }

  tensor(name: string, dtype: DType, shape: ReadonlyArray<number>, data: Data): string {
    this.initializers.set(name, { name, dtype, shape, bytes: bytesOf(data) })
    return name
  }

  integers(numbers: ReadonlyArray<number>): string {
    const name = `#${numbers.join(",")}`
    const bytes = bytesOf(BigInt64Array.from(numbers, BigInt))
    this.initializers.set(name, { name, dtype: "int64", shape: [numbers.length], bytes })
    return name
  }

  /** int64 [1]. */
  #size(name: string): string {
    const [input, { shape }] = Object.entries(this.#inputs).find(([, each]) => each.shape.includes(name))!
    const all = this.node("Shape", [input], `#shape ${input}`)
    return this.node("Gather", [all, this.integers([shape.indexOf(name)])], `#size ${name}`, { axis: 0 })
  }

  /** int64 [1]. */
  #product({ factor, sizes }: Product): string {
    const [first, ...rest] = sizes.map((name) => this.#size(name))
    if (first === undefined) return this.integers([factor])
    const parts = factor === 1 ? rest : [...rest, this.integers([factor])]
    return parts.reduce((product, part) => this.node("Mul", [product, part], `${product}*${part}`), first)
  }

  /** The leading block of a constant, of a size that is computed. */
  leading(
    name: string,
    dtype: DType,
    { shape, data }: { readonly shape: ReadonlyArray<number>; readonly data: Data },
    size: string
  ): void {
    const axes = shape.map((_, axis) => axis)
    const whole = this.tensor(`${name}.whole`, dtype, shape, data)
    this.node("Slice", [whole, this.integers(axes.map(() => 0)), size, this.integers(axes)], name)
  }

  /** int32 [n]: 0, step, 2 step, ...; `count` and `step` are int64 [1]. */
  progression(name: string, count: string, step: string): void {
    const end = this.node("Squeeze", [count], `${name}.end`)
    const [zero, one] = [this.#scalar(0), this.#scalar(1)]
    const places = this.node("Range", [zero, end, one], `${name}.places`)
    this.node("Cast", [this.node("Mul", [places, step], `${name}.int64`)], name, { to: elementType.int32 })
  }

  /** int64 []. */
  #scalar(number: number): string {
    return this.node("Squeeze", [this.integers([number])], `#scalar ${number}`)
  }

  /** int64 [n]. */
  vector(products: ReadonlyArray<Product>, name: string): string {
    if (products.every(({ sizes }) => sizes.length === 0)) return this.integers(products.map(({ factor }) => factor))
    return this.node(
      "Concat",
      products.map((product) => this.#product(product)),
      name,
      { axis: 0 }
    )
  }
}
