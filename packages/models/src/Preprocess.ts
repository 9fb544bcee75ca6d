import type { ModelConfig } from "./Config.ts"
import type { Preprocess } from "./Model.ts"

/** Mean and standard deviation of red, green and blue in [0, 1]. */
type Colours = Pick<Preprocess, "image_mean" | "image_std">

/** CLIP's, which BLIP shares. */
export const clipColours: Colours = {
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711]
}
/** From [0, 1] to [-1, 1]. */
export const siglipColours: Colours = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] }

/** How a model's images become pixels; its config may say other colours and whose pixels to make. */
export const preprocessOf = (
  { vision_config, image_mean, image_std, image_processor }: ModelConfig,
  resize: Preprocess["resize"],
  colours: Colours
): Preprocess => ({
  image_size: vision_config.image_size,
  image_mean: image_mean ?? colours.image_mean,
  image_std: image_std ?? colours.image_std,
  resize,
  ...(image_processor && { processor: image_processor })
})
