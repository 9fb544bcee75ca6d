/** A training's optimiser and learning rate: what the papers say for the architecture, where the config doesn't. */
import type { Optimizer } from "@bootlace/engine"
import { blipOptimizer, clipOptimizer, epochCosine, epochDecay, siglipOptimizer, warmupCosine } from "@bootlace/models"
import type { Model } from "@bootlace/models"
import type { TrainConfig } from "./TrainConfig.ts"

/** Radford et al. 2021, tables 18 and 19 (ViT-B); Li et al. 2022, section 4.1; Zhai et al. 2023, section 4. */
const papers = {
  clip: { learning_rate: 5e-4, warmup_steps: 2000, optimizer: clipOptimizer },
  blip: { learning_rate: 3e-4, warmup_steps: 3000, optimizer: blipOptimizer },
  siglip: { learning_rate: 1e-3, warmup_steps: 2000, optimizer: siglipOptimizer }
} as const

/** BLIP's first learning rate, and its last. */
const lowest = 1e-6

/** Of a training on this many rows: an epoch is all their whole batches. */
export const learningRateOf = (
  config: TrainConfig,
  { architecture }: Model,
  rows: number
): ((step: number) => number) => {
  const paper = papers[architecture]
  const { schedule, steps: total_steps, min_learning_rate: min_lr = 0 } = config
  const lr = config.learning_rate ?? paper.learning_rate
  const steps_per_epoch = Math.max(1, Math.floor(rows / config.batch_size))
  // A short training warms up for a tenth of its steps.
  const warmup_steps = config.warmup_steps ?? Math.min(paper.warmup_steps, Math.ceil(total_steps / 10))
  switch (schedule) {
    case "cosine":
      return warmupCosine({ lr, warmup_steps, total_steps, min_lr })
    case "constant":
      return warmupCosine({ lr, warmup_steps, total_steps, min_lr: lr })
    case "epoch_cosine":
      return epochCosine({ lr, min_lr, steps_per_epoch, epochs: Math.ceil(total_steps / steps_per_epoch) })
    default: {
      const { lr_decay_rate: decay_rate = 0.9, min_learning_rate = lowest } = config
      return epochDecay({ lr, min_lr: min_learning_rate, warmup_lr: lowest, warmup_steps, decay_rate, steps_per_epoch })
    }
  }
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
