/**
 * The worker's tensors: in numbered spaces, by name. Each is a value, which lies in TensorFlow's memory by itself, or a variable of a
 * model. Moving one between the two, or between models, hands its memory over on the CPU; on another device it is copied.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { HostTensor, HostTensors } from "../Program.ts"
import { borrowed, hostTensor, owned } from "./Binding.ts"
import type { Binding, TensorInfo } from "./Binding.ts"
import type { CompiledModel } from "./Model.ts"
import { inPlace } from "./Protocol.ts"
import type { Command } from "./Protocol.ts"

type Held =
  | { readonly _tag: "Value"; readonly value: TensorInfo }
  | { readonly _tag: "Variable"; readonly model: LoadedModel }

interface LoadedModel extends Pick<CompiledModel, "entries" | "variables"> {
  /** The binding's number of it. */
  readonly id: number
}

interface Place {
  readonly space: Map<string, Held>
  readonly name: string
}

/** A tensor's value; `lent` ones are deleted after use. */
interface Fetched {
  readonly value: TensorInfo
  readonly lent: boolean
}

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

  put(space: number, tensors: HostTensors): void {
    for (const [name, tensor] of Object.entries(tensors))
      this.#set({ space: this.#space(space), name }, { _tag: "Value", value: owned(this.#binding, tensor) })
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

  write({ space, name, row, rows }: Extract<Command, { _tag: "Write" }>): void {
    const place = { space: this.#space(space), name }
    const held = place.space.get(name) ?? missing(name)
    if (held._tag === "Value") {
      const whole = hostTensor(this.#binding, held.value)
      whole.data.set(rows.data, row * (whole.data.length / whole.shape[0]!))
      return this.#set(place, { _tag: "Value", value: owned(this.#binding, whole) })
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
    for (const name of space.keys()) this.#let({ space, name })
    this.#spaces.delete(number)
  }

  compile(number: number, { bytes, entries, variables }: CompiledModel): void {
    const folder = mkdtempSync(join(tmpdir(), "bootlace-model-"))
    try {
      writeFileSync(join(folder, "saved_model.pb"), bytes)
      this.#models.set(number, { id: this.#binding.loadSavedModel(folder, "serve"), entries, variables })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  release(number: number): void {
    const model = this.#models.get(number)!
    for (const space of this.#spaces.values()) {
      const inside = [...space].filter(([, held]) => held._tag === "Variable" && held.model === model)
      const places = inside.map(([name]) => ({ space, name }))
      this.#values(places).forEach(({ value }, i) => space.set(places[i]!.name, { _tag: "Value", value }))
    }
    this.#binding.deleteSavedModel(model.id)
    this.#models.delete(number)
  }

  run({ model: number, entry: name, spaces: numbers, inputs }: Extract<Command, { _tag: "Run" }>): HostTensors {
    const model = this.#models.get(number)!
    const entry = model.entries[name] ?? missing(`entry ${name}`)
    const spaces = numbers.map((one) => this.#space(one))
    this.#moveInto(
      model,
      entry.variables.map((one) => placeOf(spaces, one) ?? missing(one))
    )
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
      for (const one of entry.assigned)
        this.#set(placeOf(spaces, one) ?? { space: spaces[0]!, name: one }, { _tag: "Variable", model })
      return this.#collect(spaces, outputs, results)
    } finally {
      this.#giveBack(values)
      for (const id of lent) this.#binding.deleteTensor(id)
    }
  }

  /** Results that stay go into their places, the others to the host. */
  #collect(
    spaces: ReadonlyArray<Place["space"]>,
    outputs: ReadonlyArray<string>,
    results: ReadonlyArray<TensorInfo>
  ): HostTensors {
    const tensors: Record<string, HostTensor> = {}
    results.forEach((value, i) => {
      const output = outputs[i]
      if (output?.startsWith(inPlace) === true) {
        const name = output.slice(inPlace.length)
        return this.#set(placeOf(spaces, name) ?? missing(name), { _tag: "Value", value })
      }
      if (output !== undefined) tensors[output] = hostTensor(this.#binding, value)
      this.#binding.deleteTensor(value.id)
    })
    return tensors
  }

  /** Makes variables of the model of tensors that aren't yet. */
  #moveInto(model: LoadedModel, places: ReadonlyArray<Place>): void {
    const moving = places.filter(({ space, name }) => {
      const held = space.get(name)!
      return held._tag === "Value" || held.model !== model
    })
    if (moving.length === 0) return
    const values = this.#values(moving)
    const variables = moving.map(({ name }) => model.variables[name] ?? missing(`variable ${name}`))
    const done = this.#runNodes(
      model,
      values.map(({ value }) => value.id),
      variables.map(({ feed }) => feed),
      variables.map(({ put }) => put)
    )
    for (const { id } of done) this.#binding.deleteTensor(id)
    for (const place of moving) this.#set(place, { _tag: "Variable", model })
    this.#giveBack(values)
  }

  /** In the order of the places; the variables of a model in one run. */
  #values(places: ReadonlyArray<Place>): ReadonlyArray<Fetched> {
    const found = new Map<Place, Fetched>()
    const variables = new Map<LoadedModel, Array<Place>>()
    for (const place of places) {
      const held = place.space.get(place.name) ?? missing(place.name)
      if (held._tag === "Value") found.set(place, { value: held.value, lent: false })
      else variables.set(held.model, [...(variables.get(held.model) ?? []), place])
    }
    for (const [model, inside] of variables) {
      const reads = inside.map(({ name }) => model.variables[name]!.read)
      this.#runNodes(model, [], [], reads).forEach((value, i) => found.set(inside[i]!, { value, lent: true }))
    }
    return places.map((place) => found.get(place)!)
  }

  #giveBack(values: ReadonlyArray<Fetched>): void {
    for (const { value, lent } of values) if (lent) this.#binding.deleteTensor(value.id)
  }

  /** Puts another tensor in a place; what was there is let go of, unless it is the same variable. */
  #set(place: Place, held: Held): void {
    const before = place.space.get(place.name)
    const same = before?._tag === "Variable" && held._tag === "Variable" && before.model === held.model
    if (before !== undefined && !same) this.#let(place)
    place.space.set(place.name, held)
  }

  #let({ space, name }: Place): void {
    const held = space.get(name)!
    if (held._tag === "Value") return this.#binding.deleteTensor(held.value.id)
    const [done] = this.#runNodes(held.model, [], [], [held.model.variables[name]!.gone])
    this.#binding.deleteTensor(done!.id)
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

const placeOf = (spaces: ReadonlyArray<Place["space"]>, name: string): Place | undefined => {
  const space = spaces.find((one) => one.has(name))
  return space === undefined ? undefined : { space, name }
}
