/**
 * A model that looks at larger or smaller images than it was trained on: its position embeddings, resized (Dosovitskiy et al. 2021,
 * section 3.2). BLIP is pre-trained at 224 pixels and fine-tuned at 384 (Li et al. 2022, section 4.1).
 *
 *   positions [N, D] of a grid g x g, the class token's first where there is one  ->  [N', D] of g' x g'
 *
 * Bicubic as in BLIP's code, in open_clip's for larger images and in transformers' `interpolate_pos_encoding`: cubic convolution with
 * a = -0.75, pixel centres aligned, borders repeated, nothing smoothed when shrinking.
 */
import type { Model } from "./Model.ts"
import { modelFromConfig } from "./ModelFromConfig.ts"

const a = -0.75

/** Cubic convolution's weight at a distance below 2 (Keys 1981). */
const cubic = (distance: number): number => {
  const x = Math.abs(distance)
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
}

/** Of each place of the new side the four old places around it, and their weights. */
const taps = (from: number, to: number) =>
  Array.from({ length: to }, (_, i) => {
    const centre = ((i + 0.5) * from) / to - 0.5
    const first = Math.floor(centre) - 1
    return [0, 1, 2, 3].map((tap) => ({
      place: Math.min(from - 1, Math.max(0, first + tap)),
      weight: cubic(centre - (first + tap))
    }))
  })

/** A grid [g, g, D] of the side `from` as one of the side `to`. */
export const resizeGrid = (grid_ggD: Float32Array, D: number, from: number, to: number): Float32Array => {
  const at = taps(from, to)
  const resized = new Float32Array(to * to * D)
  for (const [row, rows] of at.entries())
    for (const [column, columns] of at.entries())
      for (let d = 0; d < D; d++) {
        let sum = 0
        for (const { place: y, weight: wy } of rows)
          for (const { place: x, weight: wx } of columns) sum += wy * wx * grid_ggD[(y * from + x) * D + d]!
        resized[(row * to + column) * D + d] = sum
      }
  return resized
}

/** The weight that holds a model's image positions. */
const positionsOf = ({ shapes }: Model): string => {
  const name = "vision_model.embeddings.position_embedding"
  return shapes[name] === undefined ? `${name}.weight` : name
}

interface Resized {
  readonly model: Model
  /** The one weight that has another shape, by name, and how it is made. */
  readonly positions: string
  readonly resize: (positions: Float32Array) => Float32Array
}

/** The model for images of another size. Throws a `ConfigError` where its patches don't cover them. */
export const atImageSize = (model: Model, image_size: number): Resized => {
  const config = model.config as { readonly vision_config: object }
  const other = modelFromConfig({ ...config, vision_config: { ...config.vision_config, image_size } })
  const [[N, D], [M]] = [model.image_tokens, other.image_tokens]
  const first = model.architecture === "siglip" ? 0 : 1
  const [from, to] = [Math.sqrt(N - first), Math.sqrt(M - first)]
  const resize = (positions: Float32Array): Float32Array => {
    const resized = new Float32Array(M * D)
    resized.set(positions.subarray(0, first * D))
    resized.set(resizeGrid(positions.subarray(first * D), D, from, to), first * D)
    return resized
  }
  return { model: other, positions: positionsOf(model), resize }
}
