/** Learning rates, and ITC's alpha, as functions of the step (from 0). */

/** CLIP: linear warm-up, then a cosine down to `min_lr`, per step. */
export const warmupCosine =
  (at: {
    readonly lr: number
    readonly warmup_steps: number
    readonly total_steps: number
    readonly min_lr?: number
  }) =>
  (step: number): number => {
    if (step < at.warmup_steps) return (at.lr * (step + 1)) / at.warmup_steps
    const min_lr = at.min_lr ?? 0
    const done = Math.min(1, (step - at.warmup_steps) / Math.max(1, at.total_steps - at.warmup_steps))
    return min_lr + (at.lr - min_lr) * 0.5 * (1 + Math.cos(Math.PI * done))
  }

/** BLIP pre-training: warm-up from `warmup_lr` inside the first epoch, then one factor per epoch. */
export const epochDecay =
  (at: {
    readonly lr: number
    readonly min_lr: number
    readonly warmup_lr: number
    readonly warmup_steps: number
    readonly decay_rate: number
    readonly steps_per_epoch: number
  }) =>
  (step: number): number => {
    const epoch = Math.floor(step / at.steps_per_epoch)
    if (epoch > 0) return Math.max(at.min_lr, at.lr * at.decay_rate ** epoch)
    return Math.min(at.lr, at.warmup_lr + ((at.lr - at.warmup_lr) * step) / Math.max(1, at.warmup_steps))
  }

/** BLIP fine-tuning: a cosine that moves once per epoch. */
export const epochCosine =
  (at: { readonly lr: number; readonly min_lr: number; readonly steps_per_epoch: number; readonly epochs: number }) =>
  (step: number): number => {
    const epoch = Math.min(at.epochs, Math.floor(step / at.steps_per_epoch))
    return at.min_lr + (at.lr - at.min_lr) * 0.5 * (1 + Math.cos((Math.PI * epoch) / at.epochs))
  }

/** ITC's share of soft targets grows linearly from 0 over the first `ramp_steps` (two epochs at pre-training). */
export const alphaRamp =
  (at: { readonly alpha: number; readonly ramp_steps: number }) =>
  (step: number): number =>
    at.alpha * Math.min(1, step / Math.max(1, at.ramp_steps))
