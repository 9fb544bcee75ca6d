/**
 * A tensor operator: a map whose columns meet tensors, written once.
 *
 * Its program runs lifted over micro-batches of rows (it scores, embeds, generates), and inside a Train node, where the
 * programs of a graph compose into one differentiable program. What a program sees of a column follows from the column's
 * type; `TensorColumn` says how the host prepares it.
 *
 *   B rows   S image side   T tokens   N image tokens   D their width   E embedding size
 */
import type { BlockTensors, HostTensor, HostTensors, Tensors } from "@bootlace/engine"
import type { Columns, NodeError, Operator } from "@bootlace/graph"
import type { Model, RandomKey, TokenTensors, Tokenizer, Weights } from "@bootlace/models"
import type { Tensor } from "@tensorflow/tfjs-core"
import type { Effect } from "effect"

export interface Similarity {
  readonly i2t: Tensor
  readonly t2i: Tensor
}

/** What a program sees of a column. */
export interface ColumnTensors {
  /** Pixels [B, 3, S, S] as the model wants them. */
  readonly image: Tensor
  /** [B, T], [CLS] (or start of text) first. */
  readonly text: TokenTensors
  readonly token_ids: Tensor
  /** [B, N, D] */
  readonly image_tokens: Tensor
  /** [B, E] */
  readonly embedding: Tensor
  /** [B] */
  readonly score: Tensor
  readonly label: Tensor
  readonly flag: Tensor
  /** [] */
  readonly loss: Tensor
  /** Every pair of the batch, scaled: two [B, B], of image rows and text columns and the reverse. */
  readonly similarity: Similarity
}
export type TensorsOf<C extends Columns> = { readonly [K in keyof C]: ColumnTensors[C[K]] }

export type Architecture = Model["architecture"]
/** The model that an operator of these architectures is given; an operator without a model gets none. */
export type ModelOf<A extends Architecture> = [A] extends [never]
  ? undefined
  : Extract<Model, { readonly architecture: A }>

export interface ProgramContext<Config, M = Model> {
  readonly model: M
  readonly config: Config
  readonly tokenizer: M extends undefined ? undefined : Tokenizer
}

/** A step of a training, as far as what the host feeds depends on it. */
export interface StepContext {
  readonly seed: number
  readonly node: string
  readonly step: number
  readonly batch_size: number
  /** The rows wanted, from this place of the batch on: all of them but in micro-batches. */
  readonly first: number
  readonly count: number
  /** Passes over the data so far, with a fraction. */
  readonly epoch: number
}

/** An array beside the weights, overwritten in place by what a program enqueues. The first axis is the row. */
export interface StateArray {
  readonly shape: ReadonlyArray<number>
  readonly init: (key: RandomKey) => Float32Array
}

/** What a program sees inside Train. */
export interface TrainingScope<In extends Columns> {
  readonly weights: Weights
  readonly inputs: TensorsOf<In>
  /** The inputs named by `twin`, computed with the momentum weights; no gradient. */
  readonly twin: Partial<TensorsOf<In>>
  readonly state: Tensors
  /** The tensors that `feeds` made for this step. */
  readonly feeds: Tensors
  /** [B, 2]: which rows show the same image, where the life asks for it. */
  readonly image_ids?: Tensor
  /** It runs with the momentum weights, for another node's `twin`. */
  readonly isTwin: boolean
}
export interface TrainingResult<Out extends Columns> {
  readonly columns: TensorsOf<Out>
  /** Scalars for the history that aren't minimised. */
  readonly metrics?: Tensors
  /** Rows by state array, written over its oldest rows after the step. */
  readonly enqueue?: Tensors
}

/** Which images a program must tell apart: those that an input was made of. */
export interface ImageIds<In extends Columns> {
  readonly of: keyof In & string
  /** How many different images a batch must have. */
  readonly at_least: number
}

/** The life inside a Train node. */
export interface TrainingLife<Config, In extends Columns, Out extends Columns, M = Model> {
  readonly inputs: In
  readonly outputs: Out
  /** Inputs to compute a second time with the momentum weights. */
  readonly twin?: (at: ProgramContext<Config, M>) => ReadonlyArray<keyof In & string>
  /** The momentum of those weights. */
  readonly momentum?: (config: Config) => number
  readonly state?: (at: ProgramContext<Config, M>, batch_size: number) => Readonly<Record<string, StateArray>>
  /** Undefined: whose image a row shows is nothing to it. */
  readonly imageIds?: (at: ProgramContext<Config, M>) => ImageIds<In> | undefined
  /** Random numbers, ramps: whatever changes from step to step, for the rows wanted. The shapes must not. */
  readonly feeds?: (at: ProgramContext<Config, M>, step: StepContext) => HostTensors
  readonly program: (at: ProgramContext<Config, M>) => (scope: TrainingScope<In>) => TrainingResult<Out>
  /** Of an operator that compares the rows of a batch: the same row by row, for gradient caching. */
  readonly byRows?: RowLife<Config, In, M>
}

/** The losses of a batch that comes in micro-batches: what each row is reduced to, and a block of rows against all rows. */
export interface RowLife<Config, In extends Columns, M = Model> {
  /** Why it can't be with this config, in words; undefined: it can. */
  readonly refuses: (config: Config, architecture: string | undefined) => string | undefined
  /** [b, ...] each, of b rows. */
  readonly features: (at: ProgramContext<Config, M>) => (inputs: TensorsOf<In>) => Tensors
  /** The losses' columns and the metrics, each the block's share of the batch's. */
  readonly block: (
    at: ProgramContext<Config, M>
  ) => (scope: BlockTensors) => { readonly losses: Tensors; readonly metrics: Tensors }
}

/** Values of an output column for the rows of a micro-batch: a tensor [B, ...], or texts. */
export type HostColumn = HostTensor | ReadonlyArray<string>

/** A host loop over programs, for what one program can't do: decoding text. */
export interface Drive {
  readonly run: (
    inputs: HostTensors,
    rowIds: ReadonlyArray<string>
  ) => Effect.Effect<Readonly<Record<string, HostColumn>>, NodeError>
}

/** A training life whose config, columns and model are no longer known: Train has checked them against the node's. */
export type AnyLife = TrainingLife<unknown, Columns, Columns>

/** What makes a map operator a tensor operator. */
export interface TensorSide {
  /** Loaded when a training is opened. */
  readonly training?: Effect.Effect<AnyLife>
  /** Of an operator that compares the rows of a batch, and can do so row by row: as its life's `byRows.refuses`. */
  readonly refusesRows?: RowLife<unknown, Columns>["refuses"]
}

export type TensorOperator = Operator.MapOperator & { readonly tensors: TensorSide }

export const isTensorOperator = (operator: Operator.AnyOperator): operator is TensorOperator =>
  operator.kind === "map" && "tensors" in operator
