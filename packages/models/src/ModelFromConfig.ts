/** From a JSON config in Hugging Face's words to a model. */
import { blipModel } from "./Blip.ts"
import { clipModel } from "./Clip.ts"
import { parseConfig } from "./Config.ts"
import type { Model } from "./Model.ts"
import { siglipModel } from "./Siglip.ts"

/** Throws a `ConfigError` that names every wrong key. `modelFromConfig(model.config)` is the same model. */
export const modelFromConfig = (config: unknown): Model => {
  const parsed = parseConfig(config)
  if (parsed.model_type === "siglip") return siglipModel(parsed)
  return parsed.model_type === "clip" ? clipModel(parsed) : blipModel(parsed)
}
