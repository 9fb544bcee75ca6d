/** Resource variables of a model in the making, and the edges that put reads and writes in order. */
import { mapTensors } from "../HostTensors.ts"
import type { DType, Specs, TensorSpec } from "../Program.ts"
import type { Attributes, GraphBuilder } from "./GraphBuilder.ts"
import type { Variable } from "./Model.ts"

const typed = (dtype: DType): Attributes => ({ dtype: { type: dtype } })

export class Variables {
  readonly nodes: Readonly<Record<string, Variable>>
  readonly #builder: GraphBuilder
  readonly #handles: Readonly<Record<string, string>>
  readonly #specs: Specs

  constructor(builder: GraphBuilder, specs: Specs) {
    this.#builder = builder
    this.#specs = specs
    this.#handles = mapTensors(specs, ({ dtype, shape }, name) =>
      builder.node("VarHandleOp", [], { ...typed(dtype), shape: { shape }, shared_name: { string: name } })
    )
    this.nodes = mapTensors(specs, (spec, name) => this.#describe(name, spec))
  }

  #describe(name: string, { dtype, shape }: TensorSpec): Variable {
    const feed = this.#builder.placeholder(dtype, shape)
    const put = this.after([this.assign(name, feed)])
    return { read: this.read(name), feed, put, gone: this.after([this.destroy(name)]) }
  }

  has(name: string): boolean {
    return this.#specs[name] !== undefined
  }

  handle(name: string): string {
    return this.#handles[name]!
  }

  /** Its value once these nodes have run. */
  read(name: string, after: ReadonlyArray<string> = []): string {
    const inputs = [this.handle(name), ...after.map((node) => `^${node}`)]
    return this.#builder.node("ReadVariableOp", inputs, typed(this.#specs[name]!.dtype))
  }

  /** The node that writes it once these nodes have run. */
  assign(name: string, value: string, after: ReadonlyArray<string> = []): string {
    const inputs = [this.handle(name), value, ...after.map((node) => `^${node}`)]
    return this.#builder.node("AssignVariableOp", inputs, typed(this.#specs[name]!.dtype))
  }

  /** The node that lets go of its memory once these nodes have run. */
  destroy(name: string, after: ReadonlyArray<string> = []): string {
    const inputs = [this.handle(name), ...after.map((node) => `^${node}`)]
    return this.#builder.node("DestroyResourceOp", inputs, { ignore_lookup_error: { bool: true } })
  }

  /** A node to fetch that is there when all these have run: operations that give nothing can't be asked for. */
  after(nodes: ReadonlyArray<string>): string {
    const inputs = [this.#builder.splat(1, "float32"), ...nodes.map((node) => `^${node}`)]
    return this.#builder.node("Identity", inputs, { T: { type: "float32" } })
  }
}
