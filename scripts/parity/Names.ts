/** The model's name of each of a checkpoint's tensors. */
import { fromHuggingFace } from "@bootlace/models"
import type { Model } from "@bootlace/models"

export const ourNames = (model: Model, theirs: Iterable<string>): ReadonlyMap<string, string> =>
  new Map(Object.entries(fromHuggingFace(model, theirs).names).map(([ours, name]) => [name, ours]))
