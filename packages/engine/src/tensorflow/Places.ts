/** Where the worker's tensors are. */
import type { TensorInfo } from "./Binding.ts"
import type { CompiledModel } from "./Model.ts"

export type Held =
  | { readonly _tag: "Value"; readonly value: TensorInfo }
  | { readonly _tag: "Variable"; readonly model: LoadedModel }

export interface LoadedModel extends Pick<CompiledModel, "entries" | "variables"> {
  /** The binding's number of it. */
  readonly id: number
  /** The variables that have a value, and whose they are. */
  readonly inside: Map<string, Place>
}

export interface Place {
  readonly space: Map<string, Held>
  readonly name: string
}

/** A tensor's value; `lent` ones are deleted after use. */
export interface Fetched {
  readonly value: TensorInfo
  readonly lent: boolean
}

export const placeOf = (spaces: ReadonlyArray<Place["space"]>, name: string): Place | undefined => {
  const space = spaces.find((one) => one.has(name))
  return space === undefined ? undefined : { space, name }
}
