/**
 * Floating-point operations of the matrix products in a model, two for a multiplication and an addition; everything else isn't counted.
 *
 * With the measured rate of fp32 matrix products they give a time that no implementation of the same products goes below. A backward pass
 * has twice the products of the forward pass.
 *
 *   B rows   T tokens   N image tokens   D width   V vocabulary
 */
import type { BlipConfig, ClipConfig, TowerConfig, VisionConfig } from "@bootlace/models"

/** Other tokens that every layer looks at. */
interface Cross {
  readonly tokens: number
  readonly width: number
}

/** One row of T tokens through a tower. */
function towerFlops(T: number, config: TowerConfig, cross?: Cross): number {
  const { hidden_size: D, intermediate_size: wide, num_hidden_layers } = config
  const own = 2 * T * (4 * D * D + 2 * D * wide) + 4 * T * T * D
  const across = cross === undefined ? 0 : 4 * T * D * D + 4 * cross.tokens * cross.width * D + 4 * T * cross.tokens * D
  return num_hidden_layers * (own + across)
}

const imageTokens = ({ image_size, patch_size }: VisionConfig): number => (image_size / patch_size) ** 2 + 1

/** One image through the image tower. */
export function imageFlops(config: VisionConfig): number {
  const N = imageTokens(config)
  return towerFlops(N, config) + 2 * (N - 1) * 3 * config.patch_size ** 2 * config.hidden_size
}

/** One image's embedding by CLIP: in the last block the class token alone asks, and goes on. */
export function clipImageFlops(config: VisionConfig): number {
  const { hidden_size: D, intermediate_size: wide } = config
  const N = imageTokens(config)
  return imageFlops(config) - (N - 1) * (2 * (2 * D * D + 2 * D * wide) + 4 * N * D)
}

/** A training step of CLIP; by gradient caching the forward pass is done twice. */
export const clipStepFlops = (config: ClipConfig, B: number, T: number, how: "whole" | "cached" = "whole"): number => {
  const { vision_config, text_config, projection_dim: E } = config
  const projections = 2 * E * (vision_config.hidden_size + text_config.hidden_size)
  const forward = clipImageFlops(vision_config) + towerFlops(T, text_config) + projections
  return (how === "cached" ? 4 : 3) * B * forward + 3 * 2 * B * B * E
}

const crossOf = ({ vision_config }: BlipConfig): Cross => ({
  tokens: imageTokens(vision_config),
  width: vision_config.hidden_size
})

/** A training step of BLIP: both towers, their twins, three rows of matching and one of language modelling for each pair. */
export const blipStepFlops = (config: BlipConfig, B: number, T: number): number => {
  const { vision_config, text_config } = config
  const [D, V] = [text_config.hidden_size, text_config.vocab_size]
  const towers = imageFlops(vision_config) + towerFlops(T, text_config)
  const grounded = towerFlops(T, text_config, crossOf(config))
  const head = 2 * T * (D * D + D * V)
  return B * (towers + 3 * (towers + 4 * grounded + head))
}

/** Captions of T tokens: the image once, its cross-attention's keys and values once, then one token after the other. */
export const captionFlops = (config: BlipConfig, beams: number, T: number): number => {
  const { vision_config, text_config } = config
  const { hidden_size: D, intermediate_size: wide, vocab_size: V, num_hidden_layers: L } = text_config
  const { tokens: N, width } = crossOf(config)
  const looking = imageFlops(vision_config) + L * 4 * N * width * D
  const token = L * (2 * (6 * D * D + 2 * D * wide) + 4 * (N + T / 2) * D) + 2 * (D * D + D * V)
  return looking + beams * (T - 1) * token
}

/** Each image once, keys and values of its tokens once, then every pair. */
export const matchingFlops = (config: BlipConfig, images: number, texts: number, T: number): number => {
  const { vision_config, text_config } = config
  const { tokens: N, width } = crossOf(config)
  const looking = imageFlops(vision_config) + text_config.num_hidden_layers * 4 * N * width * text_config.hidden_size
  const pair = towerFlops(T, text_config, { tokens: N, width: 0 })
  return images * looking + images * texts * pair
}
