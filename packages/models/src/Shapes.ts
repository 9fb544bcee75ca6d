/** Shapes of weights by name, PyTorch's layout: a Linear is [out, in]. */
import type { Shapes } from "./Model.ts"

export const linearShapes = (name: string, num_out: number, num_in: number, bias = true): Shapes => ({
  [`${name}.weight`]: [num_out, num_in],
  ...(bias ? { [`${name}.bias`]: [num_out] } : {})
})

export const normShapes = (name: string, width: number): Shapes => ({
  [`${name}.weight`]: [width],
  [`${name}.bias`]: [width]
})

/** The shapes of every layer, `of` being given each layer's index. */
export const layerShapes = (num_layers: number, of: (layer: number) => Shapes): Shapes =>
  Object.assign({}, ...Array.from({ length: num_layers }, (_, layer) => of(layer)))
