/**
 * What a tensor program is, and what an executor does with one.
 *
 * A program is ordinary tfjs-core code: weights and inputs in, named outputs out. It runs once, on the capture backend,
 * for every static shape of its inputs; afterwards only the captured graph runs. So everything that changes from call to
 * call (random numbers, masks, learning rates) is an input, never a value made inside `run`.
 */
import type { Tensor } from "@tensorflow/tfjs-core"
import type { Effect, Scope } from "effect"
import type { EngineError } from "./EngineError.ts"

export type DType = "float32" | "int32" | "bool"

export interface TensorSpec {
  readonly shape: ReadonlyArray<number>
  readonly dtype: DType
}

/** Row-major values on the host. bool is one byte an element. */
export interface HostTensor extends TensorSpec {
  readonly data: Float32Array | Int32Array | Uint8Array
}

export type Specs = Readonly<Record<string, TensorSpec>>
export type HostTensors = Readonly<Record<string, HostTensor>>
export type Tensors = Readonly<Record<string, Tensor>>

/** A program for inference. One object is one program: executors compile it once per shape of its inputs. */
export interface Program {
  /** Named in every error, e.g. `ImageEncoder (node image)`. */
  readonly name: string
  /** The weights it reads, by name; a subset of what the model holds. */
  readonly weights: ReadonlyArray<string>
  readonly run: (weights: Tensors, inputs: Tensors) => Tensors
}

/** What a training program sees at a step. */
export interface TrainingTensors {
  readonly weights: Tensors
  /** Momentum (EMA) copies of the weights named in `TrainingProgram.twin`, under the same names; no gradient. */
  readonly twin: Tensors
  /** Arrays beside the weights, rewritten only by `Trainer.enqueue` (BLIP's queues); no gradient. */
  readonly state: Tensors
  readonly inputs: Tensors
}

export interface TrainingProgram {
  readonly name: string
  /** Trained weights. Weights of the model that aren't named stay as they are. */
  readonly weights: ReadonlyArray<string>
  /** Weights that it reads and leaves as they are: no gradient of theirs is computed. Absent: none. */
  readonly frozen?: ReadonlyArray<string>
  readonly twin: ReadonlyArray<string>
  readonly state: Specs
  /**
   * `low`: a step on ONNX Runtime keeps only the sums along a transformer's residual stream and what its activation functions are given, and
   * computes the rest again in the backward pass, for about a seventh more time. Absent: it computes again what costs next to nothing. The operations are the same.
   */
  readonly memory?: "low"
  /**
   * Scalar losses by name, whose sum is minimised, and further outputs returned to the host (embeddings to enqueue,
   * accuracies), which get no gradient.
   */
  readonly run: (at: TrainingTensors) => LossesAndOutputs
  /** The same losses row by row, for gradient caching; only for a program without twin and state. */
  readonly byRows?: RowLosses
}

export interface LossesAndOutputs {
  readonly losses: Tensors
  readonly outputs: Tensors
}

/**
 * The losses of a batch split by its rows (Gao et al. 2021, section 3.2): each row is first reduced to a few features, and the losses compare a
 * block of rows with all rows. Summed over all blocks, losses and outputs are those of `run` on the whole batch.
 */
export interface RowLosses {
  /** Features of these rows, the rows first: [b, ...] each. Only `weights` and `inputs` are given. */
  readonly features: (at: Pick<TrainingTensors, "weights" | "inputs">) => Tensors
  readonly block: (at: BlockTensors) => LossesAndOutputs
}

export interface BlockTensors {
  readonly weights: Tensors
  /** Features of the block's rows, [b, ...] each. */
  readonly rows: Tensors
  /** Features of all rows of the batch, [N, ...] each. */
  readonly all: Tensors
  /** int32 [b]: which of all rows the block's are. */
  readonly places: Tensor
}

/** A batch that comes in micro-batches of these many rows. One is asked for twice, and must be the same both times. */
export interface MicroBatches<E> {
  readonly sizes: ReadonlyArray<number>
  readonly inputs: (index: number) => Effect.Effect<HostTensors, E>
}

/** AdamW as torch.optim.AdamW computes it (decoupled decay), with what CLIP and BLIP need around it. */
export interface Optimizer {
  readonly betas: readonly [number, number]
  readonly eps: number
  readonly weight_decay: number
  /** Whether weight decay applies to this weight. */
  readonly decays: (name: string, shape: ReadonlyArray<number>) => boolean
  /** Gradients are scaled down to this global L2 norm. Absent: no clipping. */
  readonly max_grad_norm?: number
  /** After the update these scalars are held inside [minimum, maximum]. */
  readonly clamp?: Readonly<Record<string, readonly [number, number]>>
  /** Twin weights become momentum * twin + (1 - momentum) * weight, before the step's forward pass (BLIP). */
  readonly momentum?: number
  /** An average of the trained weights, average <- ema * average + (1 - ema) * weight after each step. Absent: none is kept. */
  readonly ema?: number
}

export interface StepResult {
  readonly losses: Readonly<Record<string, number>>
  readonly total: number
  /** Global L2 norm before clipping. */
  readonly grad_norm: number
  readonly outputs: HostTensors
}

export interface Gradients {
  readonly losses: Readonly<Record<string, number>>
  readonly outputs: HostTensors
  /** Of every trained weight; zeros where the losses don't depend on it. */
  readonly gradients: HostTensors
}

/** Everything a resumed training needs to give the bytes of an undisturbed one. Names are the weights' names. */
export interface TrainingSnapshot {
  readonly step: number
  readonly weights: HostTensors
  /** AdamW's first and second moments, as torch names them. */
  readonly exp_avg: HostTensors
  readonly exp_avg_sq: HostTensors
  readonly twin: HostTensors
  readonly state: HostTensors
  /** The average of the trained weights; empty where none is kept. */
  readonly ema: HostTensors
}

export interface Trainer {
  /**
   * One optimiser step: twin update, forward, backward, clip, AdamW, clamp.
   * Fails with `NonFinite` before any weight, moment or twin has changed.
   */
  readonly step: (inputs: HostTensors, learning_rate: number) => Effect.Effect<StepResult, EngineError>
  /**
   * The same step on a batch in micro-batches, for a program with `byRows`: no more activations are held than one micro-batch's, nor more
   * similarities than one micro-batch's with the whole batch.
   */
  readonly cachedStep: <E>(batch: MicroBatches<E>, learning_rate: number) => Effect.Effect<StepResult, EngineError | E>
  /** Losses and gradients at these inputs; nothing is updated. */
  readonly gradients: (inputs: HostTensors) => Effect.Effect<Gradients, EngineError>
  readonly cachedGradients: <E>(batch: MicroBatches<E>) => Effect.Effect<Gradients, EngineError | E>
  /** Overwrites rows `at`, `at + 1`, ... of a state array. */
  readonly enqueue: (state: string, at: number, rows: HostTensor) => Effect.Effect<void, EngineError>
  readonly snapshot: Effect.Effect<TrainingSnapshot, EngineError>
}

/** Where a training starts: a fresh one gives the initial twin and state; a resumed one gives its whole snapshot. */
export type TrainingStart =
  | { readonly _tag: "Fresh"; readonly twin?: HostTensors; readonly state: HostTensors }
  | { readonly _tag: "Resumed"; readonly snapshot: TrainingSnapshot }

/** What becomes of a run's outputs that stay in the executor; the others come back. */
export interface Keeping {
  /** Outputs held from now on, under their names. */
  readonly keep?: ReadonlyArray<string>
  /** Outputs written into held tensors: cut into as many blocks as there are places, block i goes to the block `places[i]`. */
  readonly write?: { readonly into: Readonly<Record<string, string>>; readonly places: Int32Array }
}

/** Tensors that stay in the executor between the runs of a host loop, such as a decoder's keys and values. */
export interface HeldTensors<E = EngineError> {
  /** A program finds its inputs among those given, then among those held, by name. */
  readonly run: (program: Program, inputs: HostTensors, keeping?: Keeping) => Effect.Effect<HostTensors, E>
  /** Holds zeros. */
  readonly zeros: (specs: Specs) => Effect.Effect<void, E>
  /** Of every tensor held these rows of its first axis, in this order. */
  readonly take: (rows: Int32Array) => Effect.Effect<void, E>
}

/** A model's weights, living in the executor. */
export interface LoadedModel {
  readonly run: (
    program: Program,
    inputs: HostTensors,
    options?: TransferOptions
  ) => Effect.Effect<HostTensors, EngineError>
  /** Holds nothing yet; lets go with the scope. */
  readonly hold: Effect.Effect<HeldTensors, EngineError, Scope.Scope>
  readonly train: (
    program: TrainingProgram,
    optimizer: Optimizer,
    start: TrainingStart
  ) => Effect.Effect<Trainer, EngineError, Scope.Scope>
  readonly weights: Effect.Effect<HostTensors, EngineError>
}

export interface TransferOptions {
  /**
   * The executor may take the arrays' memory over instead of copying it, so that a model is held once and not twice, and a batch of pixels
   * isn't copied twice on its way. They are not to be used afterwards; nor is anything else in their buffers.
   */
  readonly transfer?: boolean
}

export interface Executor {
  readonly name: "onnx" | "tensorflow" | "webgpu" | "eager"
  /** Everything that can change a bit of a result: engine and version, instruction set, threads, precision. Goes into cache keys. */
  readonly numerics: string
  readonly load: (
    weights: HostTensors,
    options?: TransferOptions
  ) => Effect.Effect<LoadedModel, EngineError, Scope.Scope>
}
