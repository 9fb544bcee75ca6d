/** A training's optimiser and learning rate: what the papers say for the architecture, where the config doesn't. */
import type { Optimizer } from "@bootlace/engine"
import { blipOptimizer, clipOptimizer, siglipOptimizer, warmupCosine } from "@bootlace/models"
import type { Model } from "@bootlace/models"
import type { TrainConfig } from "./TrainConfig.ts"

/** Radford et al. 2021, tables 18 and 19 (ViT-B); Li et al. 2022, section 4.1; Zhai et al. 2023, section 4. */
const papers = {
  clip: { learning_rate: 5e-4, warmup_steps: 2000, optimizer: clipOptimizer },
  blip: { learning_rate: 3e-4, warmup_steps: 3000, optimizer: blipOptimizer },
  siglip: { learning_rate: 1e-3, warmup_steps: 2000, optimizer: siglipOptimizer }
} as const

export const learningRateOf = (config: TrainConfig, { architecture }: Model): ((step: number) => number) => {
  const paper = papers[architecture]
  const lr = config.learning_rate ?? paper.learning_rate
  // A short training warms up for a tenth of its steps.
  const warmup_steps = config.warmup_steps ?? Math.min(paper.warmup_steps, Math.ceil(config.steps / 10))
  const schedule = config.schedule === "cosine" ? {} : { min_lr: lr }
  return warmupCosine({ lr, warmup_steps, total_steps: config.steps, ...schedule })
}

export const optimizerOf = (config: TrainConfig, model: Model, momentum: number | undefined): Optimizer => {
  const { optimizer } = papers[model.architecture]
  const own = config.optimizer
  return {
    betas: own?.betas ?? optimizer.betas,
    eps: own?.eps ?? optimizer.eps,
    weight_decay: own?.weight_decay ?? optimizer.weight_decay,
    decays: optimizer.decays,
    clamp: model.clamp,
    ...(config.max_grad_norm === undefined ? {} : { max_grad_norm: config.max_grad_norm }),
    ...(momentum === undefined ? {} : { momentum }),
    ...(config.ema === undefined ? {} : { ema: config.ema })
  }
}
