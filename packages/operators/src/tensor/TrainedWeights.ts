/**
 * Which weights of a model a training moves. The others are read and stay as they are, to the byte; no gradient of theirs is computed.
 *
 *   image   the image tower with its projection, so that image embeddings stay the same (LiT: Zhai et al. 2022)
 *   text    the text tower with its projection
 *   else    every weight whose name is this, or begins with it and a dot
 */
import type { Model } from "@bootlace/models"
import { loraOf } from "./Lora.ts"
import type { Lora } from "./Lora.ts"
import type { TrainConfig } from "./TrainConfig.ts"
import { towers } from "./WeightNames.ts"

export interface WeightSelection {
  readonly trained: ReadonlyArray<string>
  readonly frozen: ReadonlyArray<string>
  /** Adapters, which are then all that is trained. */
  readonly lora?: Lora
}

const isNamed = (name: string, start: string): boolean => name === start || name.startsWith(`${start}.`)

/** Throws an Error in words for a person where an entry names no weight, or nothing is left to train. */
export const selectWeights = (
  model: Model,
  { freeze: given, lora }: Pick<TrainConfig, "freeze" | "lora">,
  seed: number
): WeightSelection => {
  const freeze: ReadonlyArray<string> = given ?? []
  const { shapes, architecture } = model
  const names = Object.keys(shapes)
  if (lora !== undefined) {
    if (freeze.length > 0) throw new Error("freeze: with lora every weight is frozen; say lora.targets instead")
    const adapters = loraOf(model, lora, seed)
    return { trained: Object.keys(adapters.initial), frozen: names, lora: adapters }
  }
  const frozenBy = (entry: string): ReadonlyArray<string> =>
    names.filter((name) => (towers[entry] ?? [entry]).some((start) => isNamed(name, start)))
  const idle = freeze.find((entry) => frozenBy(entry).length === 0)
  if (idle !== undefined) {
    const starts = [...new Set(names.map((name) => name.split(".", 1)[0]!))]
    throw new Error(
      `freeze: no weight of this ${architecture} model is named ${idle}; say image, text, or the start of a name: ${starts.join(", ")}`
    )
  }
  const frozen = new Set(freeze.flatMap(frozenBy))
  const trained = names.filter((name) => !frozen.has(name))
  if (trained.length === 0) throw new Error(`freeze: ${freeze.join(", ")} leaves no weight to train`)
  return { trained, frozen: names.filter((name) => frozen.has(name)) }
}
