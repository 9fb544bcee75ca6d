/**
 * AdamW's settings in each paper, as data for an engine's optimiser.
 *
 * CLIP (Radford et al. 2021, table 18, ViT): decay on matrices only, positional and token embeddings included; vectors and
 * scalars (biases, norms, the class token, logit_scale) are spared. BLIP (Li et al. 2022, section 4.1, and its code): decay
 * on every parameter. SigLIP (Zhai et al. 2023, section 4.6, and its code): decay on the kernels of layers only, and a second
 * moment that forgets faster, which keeps large batches stable.
 */
export interface OptimizerSettings {
  readonly betas: readonly [number, number]
  readonly eps: number
  readonly weight_decay: number
  readonly decays: (name: string, shape: ReadonlyArray<number>) => boolean
}

export const clipOptimizer: OptimizerSettings = {
  betas: [0.9, 0.98],
  eps: 1e-6,
  weight_decay: 0.2,
  decays: (_name, shape) => shape.length >= 2
}

export const blipOptimizer: OptimizerSettings = {
  betas: [0.9, 0.999],
  eps: 1e-8,
  weight_decay: 0.05,
  decays: () => true
}

export const siglipOptimizer: OptimizerSettings = {
  betas: [0.9, 0.95],
  eps: 1e-8,
  weight_decay: 1e-4,
  decays: (name, shape) => shape.length >= 2 && !/(position_embedding|token_embedding)\.weight$|probe$/.test(name)
}
