/**
 * Floating-point operations of the matrix products in a model, two for a multiplication and an addition; everything else isn't counted.
 *
 * With the measured rate of fp32 matrix products they give a time that no implementation of the same products goes below. A backward pass
 * has twice the products of the forward pass.
 *
 *   B rows   T tokens   N image tokens   D width   V vocabulary
 */
import type { BlipConfig, ClipConfig, TowerConfig, VisionConfig } from "@bootlace/models"

/**
 * One row of T tokens through a tower, of which `read` leave the last layer: all tokens of a layer make keys and values, those that leave it ask,
 * also `image_tokens` where there are any, whose own keys and values are `lookedAt`.
 */
function towerFlops(T: number, config: TowerConfig, read: number, image_tokens = 0): number {
  const { hidden_size: D, intermediate_size: wide, num_hidden_layers } = config
  const across = image_tokens === 0 ? 0 : 4 * D * D + 4 * image_tokens * D
  const asking = 2 * (2 * D * D + 2 * D * wide) + 4 * T * D + across
  return num_hidden_layers * 4 * T * D * D + ((num_hidden_layers - 1) * T + read) * asking
}

const imageTokens = ({ image_size, patch_size }: VisionConfig): number => (image_size / patch_size) ** 2 + 1

/** One image through the image tower, for all its tokens or for the class token. */
export function imageFlops(config: VisionConfig, read: "tokens" | "class token"): number {
  const N = imageTokens(config)
  const patches = 2 * (N - 1) * 3 * config.patch_size ** 2 * config.hidden_size
  return patches + towerFlops(N, config, read === "tokens" ? N : 1)
}

/** A training step of CLIP; by gradient caching the forward pass is done twice. */
export const clipStepFlops = (config: ClipConfig, B: number, T: number, how: "whole" | "cached" = "whole"): number => {
  const { vision_config, text_config, projection_dim: E } = config
  const projections = 2 * E * (vision_config.hidden_size + text_config.hidden_size)
  const forward = imageFlops(vision_config, "class token") + towerFlops(T, text_config, 1) + projections
  return (how === "cached" ? 4 : 3) * B * forward + 3 * 2 * B * B * E
}

/** Keys and values of an image's tokens for every layer of the text transformer. */
const lookedAt = ({ vision_config, text_config }: BlipConfig): number =>
  text_config.num_hidden_layers * 4 * imageTokens(vision_config) * vision_config.hidden_size * text_config.hidden_size

/**
 * A training step of BLIP: both towers, their twins, three rows of matching and one of language modelling for each pair. An image is looked at
 * by three texts, and once more by the decoder.
 */
export const blipStepFlops = (config: BlipConfig, B: number, T: number): number => {
  const { vision_config, text_config } = config
  const [D, V] = [text_config.hidden_size, text_config.vocab_size]
  const towers = imageFlops(vision_config, "tokens") + towerFlops(T, text_config, 1)
  const N = imageTokens(vision_config)
  const grounded = 3 * towerFlops(T, text_config, 1, N) + towerFlops(T, text_config, T, N)
  const head = 2 * T * (D * D + D * V)
  return B * (towers + 3 * (towers + grounded + 2 * lookedAt(config) + head))
}

/** Captions of T tokens: the image once, its cross-attention's keys and values once, [DEC] once, then one token after the other for each beam. */
export const captionFlops = (config: BlipConfig, beams: number, T: number): number => {
  const { vision_config, text_config } = config
  const { hidden_size: D, intermediate_size: wide, vocab_size: V, num_hidden_layers: L } = text_config
  const N = imageTokens(vision_config)
  const token = L * (2 * (6 * D * D + 2 * D * wide) + 4 * (N + T / 2) * D) + 2 * (D * D + D * V)
  return imageFlops(vision_config, "tokens") + lookedAt(config) + (1 + beams * (T - 2)) * token
}

/** Each image once, keys and values of its tokens once, then every pair. */
export const matchingFlops = (config: BlipConfig, images: number, texts: number, T: number): number => {
  const { vision_config, text_config } = config
  const pair = towerFlops(T, text_config, 1, imageTokens(vision_config))
  return images * (imageFlops(vision_config, "tokens") + lookedAt(config)) + images * texts * pair
}
