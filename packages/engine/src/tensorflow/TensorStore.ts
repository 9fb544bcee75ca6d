/**
 * The worker's tensors: in numbered spaces, by name. Each is a value, which lies in TensorFlow's memory by itself, or a variable of a
 * model. Moving one between the two, or between models, hands its memory over on the CPU; on another device it is copied.
 *
 * TensorFlow optimises a model's whole graph anew for every set of feeds and fetches, which takes as long as the first step. So a
 * model's variables are read, moved in and let go of all at once: few sets, which come again.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { HostTensor, HostTensors, Specs } from "../Program.ts"
import { borrowed, copied, hostTensor, owned } from "./Binding.ts"
import type { Binding, TensorInfo } from "./Binding.ts"
import type { CompiledModel, Entry } from "./Model.ts"
import { placeOf } from "./Places.ts"
import type { Fetched, Held, LoadedModel, Place } from "./Places.ts"
import { blocksWritten, rowsOf, zerosOf } from "./TensorOps.ts"
import { inPlace } from "../WorkerProtocol.ts"
import type { Holding } from "../WorkerProtocol.ts"
import type { Command } from "./Protocol.ts"

const missing = (name: string): never => {
  throw new Error(`the worker holds no tensor ${name}`)
}

export class TensorStore {
  readonly #binding: Binding
  readonly #spaces = new Map<number, Map<string, Held>>()
  readonly #models = new Map<number, LoadedModel>()

  constructor(binding: Binding) {
    this.#binding = binding
  }

  /** Takes the arrays' memory: it would lie beside TensorFlow's copies until some garbage collection. */
  put(space: number, tensors: HostTensors): void {
    for (const [name, tensor] of Object.entries(tensors))
      this.#set({ space: this.#space(space), name }, owned(this.#binding, tensor))
    const buffers = new Set(Object.values(tensors).map(({ data }) => data.buffer as ArrayBuffer))
    for (const buffer of buffers) buffer.transfer(0)
  }

  putZeros(number: number, specs: Specs): void {
    const space = this.#space(number)
    for (const [name, spec] of Object.entries(specs)) this.#set({ space, name }, zerosOf(this.#binding, spec))
  }

  /** Copies of the tensors under a prefix, named without it. */
  read(number: number, prefix: string): HostTensors {
    const space = this.#space(number)
    const places = [...space.keys()].filter((name) => name.startsWith(prefix)).map((name) => ({ space, name }))
    const values = this.#values(places)
    const tensors = places.map(({ name }, i) => [
      name.slice(prefix.length),
      hostTensor(this.#binding, values[i]!.value)
    ])
    this.#giveBack(values)
    return Object.fromEntries(tensors) as HostTensors
  }

  copy({ space, prefix, names, into, as }: Extract<Command, { _tag: "Copy" }>): void {
    const all = names.length === 0 ? {} : this.read(space, prefix)
    this.put(into, Object.fromEntries(names.map((name) => [as + name, all[name] ?? missing(prefix + name)])))
  }

  write({ space, name, row, rows }: Extract<Command, { _tag: "Write" }>): void {
    const place = { space: this.#space(space), name }
    const held = place.space.get(name) ?? missing(name)
    if (held._tag === "Value") {
      const whole = hostTensor(this.#binding, held.value)
      whole.data.set(rows.data, row * (whole.data.length / whole.shape[0]!))
      return this.#set(place, owned(this.#binding, whole))
    }
    const count = rows.shape[0]!
    const positions: HostTensor = {
      shape: [count],
      dtype: "int32",
      data: Int32Array.from({ length: count }, (_, i) => row + i)
    }
    const { feeds, done } = held.model.entries[`write:${name}`] ?? missing(name)
    const inputs = [borrowed(this.#binding, rows), borrowed(this.#binding, positions)]
    const results = this.#runNodes(held.model, inputs, [feeds.rows!, feeds.positions!], [done!])
    for (const id of [...inputs, ...results.map((one) => one.id)]) this.#binding.deleteTensor(id)
  }

  drop(number: number): void {
    const space = this.#space(number)
    this.#let([...space.keys()].map((name) => ({ space, name })))
    this.#spaces.delete(number)
  }

  compile(number: number, { bytes, entries, variables }: CompiledModel): void {
    const folder = mkdtempSync(join(tmpdir(), "bootlace-model-"))
    try {
      writeFileSync(join(folder, "saved_model.pb"), bytes)
      this.#models.set(number, {
        id: this.#binding.loadSavedModel(folder, "serve"),
        entries,
        variables,
        inside: new Map()
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  release(number: number): void {
    const model = this.#models.get(number)!
    const places = [...model.inside.values()]
    this.#values(places).forEach(({ value }, i) => {
      const { space, name } = places[i]!
      space.set(name, { _tag: "Value", value })
    })
    this.#binding.deleteSavedModel(model.id)
    this.#models.delete(number)
  }

  take({ space: number, rows }: Extract<Command, { _tag: "Take" }>): void {
    const space = this.#space(number)
    for (const name of space.keys())
      this.#set({ space, name }, rowsOf(this.#binding, this.#value({ space, name }), rows))
  }

  run({
    model: number,
    entry: name,
    spaces: numbers,
    inputs,
    holding
  }: Extract<Command, { _tag: "Run" }>): HostTensors {
    const model = this.#models.get(number)!
    const entry = model.entries[name] ?? missing(`entry ${name}`)
    const spaces = numbers.map((one) => this.#space(one))
    this.#moveInto(model, entry, spaces)
    const feeds = Object.keys(entry.feeds)
    const given = feeds.filter((one) => inputs[one] !== undefined)
    const stored = feeds.filter((one) => inputs[one] === undefined)
    const values = this.#values(stored.map((one) => placeOf(spaces, one) ?? missing(one)))
    const lent = given.map((one) => borrowed(this.#binding, inputs[one]!))
    const outputs = Object.keys(entry.fetches)
    const fetches = [...Object.values(entry.fetches), ...(entry.done === undefined ? [] : [entry.done])]
    try {
      const results = this.#runNodes(
        model,
        [...lent, ...values.map(({ value }) => value.id)],
        [...given, ...stored].map((one) => entry.feeds[one]!),
        fetches
      )
      for (const one of entry.destroyed) this.#forget(model, one)
      for (const one of entry.assigned) this.#settle(model, placeOf(spaces, one) ?? { space: spaces[0]!, name: one })
      return this.#collect(spaces, outputs, results, holding)
    } finally {
      this.#giveBack(values)
      for (const id of lent) this.#binding.deleteTensor(id)
    }
  }

  /** Results that stay go into their places, the others to the host. */
  #collect(
    spaces: ReadonlyArray<Place["space"]>,
    outputs: ReadonlyArray<string>,
    results: ReadonlyArray<TensorInfo>,
    holding: Holding | undefined
  ): HostTensors {
    const tensors: Record<string, HostTensor> = {}
    results.forEach((value, i) => {
      const output = outputs[i]
      if (output?.startsWith(inPlace) === true) {
        const name = output.slice(inPlace.length)
        return this.#set(placeOf(spaces, name) ?? missing(name), value)
      }
      if (output !== undefined && holding !== undefined && this.#hold(holding, output, value)) return
      if (output !== undefined) tensors[output] = hostTensor(this.#binding, value)
      this.#binding.deleteTensor(value.id)
    })
    return tensors
  }

  /** Whether an output stays. */
  #hold({ space: number, keep, write, places }: Holding, output: string, value: TensorInfo): boolean {
    const space = this.#space(number)
    const [kept, written] = [keep[output], write[output]]
    if (kept !== undefined) this.#set({ space, name: kept }, copied(this.#binding, value))
    if (written === undefined && kept === undefined) return false
    if (written !== undefined) {
      const place = { space, name: written }
      this.#set(place, blocksWritten(this.#binding, this.#value(place), value, places))
    }
    this.#binding.deleteTensor(value.id)
    return true
  }

  /** Of a place whose tensor is no variable. */
  #value({ space, name }: Place): TensorInfo {
    const held = space.get(name) ?? missing(name)
    return held._tag === "Value" ? held.value : missing(name)
  }

  /** Makes variables of the model of all tensors that can be; those that the entry assigns lose what they were elsewhere. */
  #moveInto(model: LoadedModel, entry: Entry, spaces: ReadonlyArray<Place["space"]>): void {
    if (entry.variables.length === 0) return
    const elsewhere = Object.keys(model.variables).flatMap((name) => {
      const place = model.inside.has(name) ? undefined : placeOf(spaces, name)
      return place === undefined ? [] : [place]
    })
    const assigned = new Set(entry.assigned)
    const moving = elsewhere.filter(({ name }) => !assigned.has(name))
    const values = this.#values(moving)
    const variables = moving.map(({ name }) => model.variables[name]!)
    if (moving.length > 0) {
      const done = this.#runNodes(
        model,
        values.map(({ value }) => value.id),
        variables.map(({ feed }) => feed),
        variables.map(({ put }) => put)
      )
      for (const { id } of done) this.#binding.deleteTensor(id)
    }
    this.#let(elsewhere)
    for (const place of moving) this.#settle(model, place)
    this.#giveBack(values)
    const absent = entry.variables.find((name) => !model.inside.has(name))
    if (absent !== undefined) missing(absent)
  }

  #settle(model: LoadedModel, place: Place): void {
    place.space.set(place.name, { _tag: "Variable", model })
    model.inside.set(place.name, place)
  }

  /** Of a variable that the model has destroyed. */
  #forget(model: LoadedModel, name: string): void {
    model.inside.get(name)?.space.delete(name)
    model.inside.delete(name)
  }

  /** In the order of the places; of a model in which one lies, all variables are read. */
  #values(places: ReadonlyArray<Place>): ReadonlyArray<Fetched> {
    const models = new Set<LoadedModel>()
    for (const { space, name } of places) {
      const held = space.get(name) ?? missing(name)
      if (held._tag === "Variable") models.add(held.model)
    }
    const read = new Map<LoadedModel, Map<string, TensorInfo>>()
    for (const model of models) {
      const names = [...model.inside.keys()].sort()
      const nodes = names.map((name) => model.variables[name]!.read)
      const values = this.#runNodes(model, [], [], nodes)
      read.set(model, new Map(names.map((name, i) => [name, values[i]!])))
    }
    const found = places.map(({ space, name }): Fetched => {
      const held = space.get(name)!
      if (held._tag === "Value") return { value: held.value, lent: false }
      const values = read.get(held.model)!
      const value = values.get(name)!
      values.delete(name)
      return { value, lent: true }
    })
    for (const values of read.values()) for (const { id } of values.values()) this.#binding.deleteTensor(id)
    return found
  }

  #giveBack(values: ReadonlyArray<Fetched>): void {
    for (const { value, lent } of values) if (lent) this.#binding.deleteTensor(value.id)
  }

  /** Puts a value in a place; what was there is let go of. */
  #set(place: Place, value: TensorInfo): void {
    if (place.space.has(place.name)) this.#let([place])
    place.space.set(place.name, { _tag: "Value", value })
  }

  /** Leaves these places empty. */
  #let(places: ReadonlyArray<Place>): void {
    const gone = new Map<LoadedModel, Array<string>>()
    for (const { space, name } of places) {
      const held = space.get(name)!
      if (held._tag === "Value") this.#binding.deleteTensor(held.value.id)
      else gone.set(held.model, [...(gone.get(held.model) ?? []), name])
    }
    for (const [model, names] of gone) {
      const nodes = names.sort().map((name) => model.variables[name]!.gone)
      for (const { id } of this.#runNodes(model, [], [], nodes)) this.#binding.deleteTensor(id)
      for (const name of names) model.inside.delete(name)
    }
  }

  #runNodes(
    model: LoadedModel,
    inputs: ReadonlyArray<number>,
    feeds: ReadonlyArray<string>,
    fetches: ReadonlyArray<string>
  ): ReadonlyArray<TensorInfo> {
    const names = (nodes: ReadonlyArray<string>) => nodes.map((node) => `${node}:0`).join()
    return this.#binding.runSavedModel(model.id, inputs, names(feeds), names(fetches))
  }

  #space(number: number): Map<string, Held> {
    const known = this.#spaces.get(number)
    if (known !== undefined) return known
    const space = new Map<string, Held>()
    this.#spaces.set(number, space)
    return space
  }
}
