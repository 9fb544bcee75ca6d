/** Named tensors in numbered spaces: one per model, one per training, one per decoding. */
import type { InferenceSession, Tensor } from "onnxruntime-common"
import { inPlace } from "../WorkerProtocol.ts"

/** The name of the held tensor that an output of this name is written over. */
const placeOf = (name: string): string => (name.startsWith(inPlace) ? name.slice(inPlace.length) : name)

export class Spaces {
  readonly #spaces = new Map<number, Map<string, Tensor>>()

  /** A space, made where there is none of that number. */
  at(number: number): Map<string, Tensor> {
    const space = this.#spaces.get(number) ?? new Map<string, Tensor>()
    this.#spaces.set(number, space)
    return space
  }

  get(number: number, name: string): Tensor {
    return this.#spaces.get(number)?.get(name) ?? missing(name)
  }

  under(number: number, prefix: string): ReadonlyArray<readonly [string, Tensor]> {
    return [...(this.#spaces.get(number) ?? [])].filter(([name]) => name.startsWith(prefix))
  }

  /** Removes a space and gives what was in it. */
  drop(number: number): Iterable<Tensor> {
    const space = this.#spaces.get(number)
    this.#spaces.delete(number)
    return space?.values() ?? []
  }

  /** The space and the name there of the tensor that an output is written over; undefined where it comes back. */
  place(numbers: ReadonlyArray<number>, output: string): readonly [Map<string, Tensor>, string] | undefined {
    const name = placeOf(output)
    const space = numbers.map((number) => this.#spaces.get(number)).find((each) => each?.has(name) === true)
    if (space !== undefined) return [space, name]
    return name === output ? undefined : missing(name)
  }

  /** A session's inputs: those given, and from these spaces the others. */
  feeds(
    session: InferenceSession,
    numbers: ReadonlyArray<number>,
    given: Readonly<Record<string, Tensor>>
  ): Record<string, Tensor> {
    const find = (name: string) =>
      given[name] ??
      numbers.map((number) => this.#spaces.get(number)?.get(name)).find((tensor) => tensor !== undefined) ??
      missing(name)
    return Object.fromEntries(session.inputNames.map((name) => [name, find(name)]))
  }
}

export const missing = (name: string): never => {
  throw new Error(`the worker holds no tensor ${name}`)
}
