/** The worker's tensors in the processor's memory, where results are written over them. Tensors leave as copies: ONNX Runtime takes no shared memory. */
import type { InferenceSession, Tensor } from "onnxruntime-common"
import type * as Runtime from "onnxruntime-node"
import { sizeOf } from "../Graph.ts"
import { arrayClass, mapTensors, specsOf, takeRows, writeBlocks, zeros } from "../HostTensors.ts"
import type { HostTensor, HostTensors, Specs } from "../Program.ts"
import type { Holding } from "../WorkerProtocol.ts"
import { int8Names, quantized } from "./Int8.ts"
import type { MemoryCommand, RunCommand, TensorMemory } from "./Protocol.ts"
import { Spaces } from "./Spaces.ts"
import { runUncopied } from "./Uncopied.ts"

type Asked<Tag extends MemoryCommand["_tag"]> = Extract<MemoryCommand, { readonly _tag: Tag }>

export const toHost = (tensor: Tensor): HostTensor => ({
  dtype: tensor.type as HostTensor["dtype"],
  shape: tensor.dims,
  data: tensor.data as HostTensor["data"]
})

export class HostMemory implements TensorMemory {
  readonly #runtime: typeof Runtime
  readonly #spaces = new Spaces()

  constructor(runtime: typeof Runtime) {
    this.#runtime = runtime
  }

  answer(command: MemoryCommand): HostTensors {
    switch (command._tag) {
      case "Put":
        this.#put(command.space, command.tensors)
        return {}
      case "Zeros":
        this.#put(command.space, stretch(command.specs))
        return {}
      case "Copy":
        this.#copy(command)
        return {}
      case "Clear":
        for (const [, tensor] of this.#spaces.under(command.space, command.prefix))
          (tensor.data as Float32Array).fill(0)
        return {}
      case "Write":
        this.#write(command)
        return {}
      case "Read":
        return this.#read(command)
      case "Pack":
        this.#pack(command)
        return {}
      case "Quantize":
        this.#quantize(command)
        return {}
      case "Take":
        this.#take(command)
        return {}
      case "Drop":
        this.#spaces.drop(command.space)
        return {}
    }
  }

  async run(session: InferenceSession, { spaces, inputs, holding, outputs }: RunCommand): Promise<HostTensors> {
    const feeds = this.#spaces.feeds(
      session,
      spaces,
      mapTensors(inputs, (tensor) => this.#toTensor(tensor))
    )
    const place = (name: string): Tensor | undefined => {
      const [space, at] = this.#spaces.place(spaces, name) ?? []
      return space?.get(at!)
    }
    if (outputs !== undefined) {
      const made = zeros(Object.fromEntries(Object.entries(outputs).filter(([name]) => place(name) === undefined)))
      const buffers = mapTensors(outputs, (_, name) => place(name) ?? this.#toTensor(made[name]!))
      await runUncopied(session, feeds, buffers)
      return made
    }
    const fetches = Object.fromEntries(session.outputNames.map((name) => [name, place(name) ?? null]))
    const results = await session.run(feeds, fetches)
    const fresh = session.outputNames.filter(
      (name) => fetches[name] === null && !(holding !== undefined && this.#hold(holding, name, results[name] as Tensor))
    )
    return Object.fromEntries(fresh.map((name) => [name, toHost(results[name] as Tensor)]))
  }

  /** Whether an output stays. */
  #hold({ space, keep, write: into, places }: Holding, name: string, output: Tensor): boolean {
    const [kept, written] = [keep[name], into[name]]
    if (kept !== undefined) this.#spaces.at(space).set(kept, output)
    if (written !== undefined)
      writeBlocks(this.#spaces.get(space, written).data as Float32Array, output.data as Float32Array, places)
    return kept !== undefined || written !== undefined
  }

  #toTensor({ dtype, data, shape }: HostTensor): Tensor {
    return new this.#runtime.Tensor(dtype, data as never, shape)
  }

  #put(number: number, tensors: HostTensors): void {
    const space = this.#spaces.at(number)
    for (const [name, tensor] of Object.entries(tensors)) space.set(name, this.#toTensor(tensor))
  }

  #copy({ space, prefix, names, into, as }: Asked<"Copy">): void {
    const from = Object.fromEntries(names.map((name) => [as + name, toHost(this.#spaces.get(space, prefix + name))]))
    const copies = stretch(specsOf(from))
    for (const [name, { data }] of Object.entries(copies)) data.set(from[name]!.data)
    this.#put(into, copies)
  }

  #write({ space, name, row, rows }: Asked<"Write">): void {
    const tensor = this.#spaces.get(space, name)
    const rowLength = tensor.size / tensor.dims[0]!
    ;(tensor.data as Float32Array).set(rows.data, row * rowLength)
  }

  #take({ space, rows }: Asked<"Take">): void {
    const held = this.#spaces.at(space)
    for (const [name, tensor] of held) held.set(name, this.#toTensor(takeRows(toHost(tensor), rows)))
  }

  /** Copies, each in memory of its own: a part of a packed stretch would take the whole stretch along. */
  #read({ space, prefix }: Asked<"Read">): HostTensors {
    const copy = (tensor: HostTensor) => ({ ...tensor, data: tensor.data.slice() })
    const found = this.#spaces.under(space, prefix)
    return Object.fromEntries(found.map(([name, tensor]) => [name.slice(prefix.length), copy(toHost(tensor))]))
  }

  /** The memory of these tensors, which then are parts of it; one alone stays where it is. */
  #together(all: Map<string, Tensor>, parts: ReadonlyArray<readonly [string, Tensor]>): Float32Array {
    if (parts.length === 1) return parts[0]![1].data as Float32Array
    const whole = new Float32Array(parts.reduce((size, [, part]) => size + part.size, 0))
    let offset = 0
    for (const [name, part] of parts) {
      const place = whole.subarray(offset, offset + part.size)
      place.set(part.data as Float32Array)
      all.set(name, this.#toTensor({ dtype: "float32", shape: part.dims, data: place }))
      offset += part.size
    }
    return whole
  }

  #pack({ space, prefix, groups, piece, into }: Asked<"Pack">): void {
    for (const [group, names] of Object.entries(groups)) {
      const parts = names.map((name) => [prefix + name, this.#spaces.get(space, prefix + name)] as const)
      const whole = this.#together(this.#spaces.at(space), parts)
      for (let from = 0, index = 0; from < whole.length; from += piece, index++) {
        const data = whole.subarray(from, from + piece)
        this.#put(into, { [`${prefix}${group}.${index}`]: { dtype: "float32", shape: [data.length], data } })
      }
    }
  }

  #quantize({ space, weights, levels }: Asked<"Quantize">): void {
    const held = this.#spaces.at(space)
    for (const name of weights) {
      const { data, dims } = this.#spaces.get(space, `w:${name}`)
      const [outputs, inputs] = dims as [number, number]
      const { values, scales } = quantized(data as Float32Array, outputs, levels)
      const names = int8Names(name)
      held.set(names.values, new this.#runtime.Tensor("int8", values, [inputs, outputs]))
      held.set(names.scales, new this.#runtime.Tensor("float32", scales, [outputs]))
    }
  }
}

/** Zeros in one piece of memory. Once let go of, it goes back to the system; many small ones would stay with the process as holes. */
function stretch(specs: Specs): HostTensors {
  const element = 4
  const buffer = new ArrayBuffer(element * Object.values(specs).reduce((sum, { shape }) => sum + sizeOf(shape), 0))
  let offset = 0
  return mapTensors(specs, ({ dtype, shape }) => {
    const data = new arrayClass[dtype](buffer, offset, sizeOf(shape))
    offset += element * data.length
    return { dtype, shape, data }
  })
}
