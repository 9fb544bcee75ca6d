/** What a node of an operator may be given in TypeScript: its config, its wires, and what every node has. */
import type { ArtifactType, ColumnType, Columns } from "../ColumnType.ts"
import type { BadRowPolicy } from "../NodeSpec.ts"
import type { AnyOperator, Architecture, Input } from "../Operator.ts"
import type { LossesOf, TrainingBuilder } from "./Training.ts"
import type { AnyWire, ArtifactWire, ColumnWire, StreamWire } from "./Wire.ts"

type IsAny<T> = 0 extends 1 & T ? true : false
type Simplify<T> = { readonly [K in keyof T]: T[K] } & {}

/** How the config is written; where an operator's type doesn't say, the decoded config with every key optional. */
export type ConfigOf<Op extends AnyOperator> =
  IsAny<Op["config"]["Encoded"]> extends true
    ? Partial<Op["config"]["Type"]>
    : unknown extends Op["config"]["Encoded"]
      ? Partial<Op["config"]["Type"]>
      : Op["config"]["Encoded"]

export type InputsOf<Op extends AnyOperator> = Op extends { readonly kind: "union" }
  ? { readonly rows: { readonly stream: {}; readonly many: true } }
  : Op["inputs"]

type One<I> = I extends ColumnType
  ? ColumnWire<I, string>
  : I extends { readonly column: infer Type extends ColumnType }
    ? ColumnWire<Type, string>
    : I extends { readonly stream: infer Cols extends Columns }
      ? StreamWire<Cols, string>
      : I extends { readonly artifact: infer Type extends ArtifactType }
        ? ArtifactWire<Type>
        : AnyWire

type Accepts<I> = I extends { readonly many: true } ? One<I> | ReadonlyArray<One<I>> : One<I>

type Wired<Inputs> = Exclude<keyof Inputs, "model" | "init">
type OptionalOf<Inputs> = {
  [K in keyof Inputs]: Inputs[K] extends { readonly optional: true } ? K : never
}[keyof Inputs]

type InOf<Inputs> = Simplify<
  { readonly [K in Exclude<Wired<Inputs>, OptionalOf<Inputs>>]: Accepts<Inputs[K]> } & {
    readonly [K in Extract<Wired<Inputs>, OptionalOf<Inputs>>]?: Accepts<Inputs[K]>
  }
>

type OpenOf<Op extends AnyOperator> = Op extends {
  readonly kind: "route" | "expand" | "fold"
  readonly openInputs?: infer Open
}
  ? Open
  : false

type InPart<Op extends AnyOperator, Inputs> =
  true extends OpenOf<Op>
    ? { readonly in: InOf<Inputs> & { readonly [further: string]: AnyWire | ReadonlyArray<AnyWire> } }
    : Exclude<Wired<Inputs>, OptionalOf<Inputs>> extends never
      ? { readonly in?: InOf<Inputs> }
      : { readonly in: InOf<Inputs> }

/** An operator's `model` list is a generic parameter of its type; never says that it takes none. */
type ModelsOf<Op extends AnyOperator> = Op extends { readonly model?: ReadonlyArray<infer Models> } ? Models : never

type ModelPart<Op extends AnyOperator> = "model" extends keyof InputsOf<Op>
  ? "model" extends OptionalOf<InputsOf<Op>>
    ? { readonly model?: ArtifactWire<"model"> }
    : { readonly model: ArtifactWire<"model"> }
  : Op extends { readonly kind: "map" | "route" | "expand" | "fold" }
    ? IsAny<ModelsOf<Op>> extends true
      ? { readonly model?: ArtifactWire<"model"> }
      : [ModelsOf<Op>] extends [never]
        ? {}
        : { readonly model: ArtifactWire<"model", Extract<ModelsOf<Op>, Architecture>> }
    : {}

type TrainPart<Op extends AnyOperator> = Op extends { readonly kind: "train" }
  ? {
      readonly init: ArtifactWire<"model">
      /** The training graph: its losses, made of the columns of the node's datasets. */
      readonly graph?: (datasets: DatasetsOf<InputsOf<Op>>, node: TrainingBuilder) => LossesOf
    }
  : {}

/** The datasets of a Train node: the columns that its stream inputs ask for. */
export type DatasetsOf<Inputs> = {
  readonly [K in keyof Inputs as Inputs[K] extends { readonly stream: Columns } ? K : never]: Inputs[K] extends {
    readonly stream: infer Cols extends Columns
  }
    ? { readonly [C in keyof Cols]: ColumnWire<Cols[C], "training"> }
    : never
}

export interface EveryNode {
  /** Keep the node's columns as artifacts even when nothing asks for them. */
  readonly persist?: boolean
  readonly on_bad_row?: BadRowPolicy
}

export type Given<Op extends AnyOperator> = ConfigOf<Op> &
  InPart<Op, InputsOf<Op>> &
  ModelPart<Op> &
  TrainPart<Op> &
  EveryNode

type IsUnion<T, Each = T> = [T] extends [never]
  ? false
  : Each extends unknown
    ? [T] extends [Each]
      ? false
      : true
    : never

type IsMany<I> = I extends { readonly many: true } ? true : false
type InputAt<Inputs, K> = K extends keyof Inputs ? Inputs[K] : Input

/** The row sets of a node's plain columns. */
export type RowsOf<In, Inputs> = {
  [K in keyof In]: In[K] extends ColumnWire<ColumnType, infer Rows>
    ? IsMany<InputAt<Inputs, K>> extends true
      ? never
      : Rows
    : never
}[keyof In]

/** What stands in the place of a wire's type where it is wrong: the compiler shows it. */
interface Mistake<Text extends string> {
  readonly mistake: Text
}

type OneRowSet<W, Rows extends string> =
  W extends ColumnWire<ColumnType, string>
    ? IsUnion<Rows> extends true
      ? Mistake<`columns of two row sets in one node: ${Rows}`>
      : unknown
    : unknown

type CheckIn<Op extends AnyOperator, In> = {
  readonly [K in keyof In]: K extends Wired<InputsOf<Op>>
    ? OneRowSet<In[K], Extract<RowsOf<In, InputsOf<Op>>, string>>
    : true extends OpenOf<Op>
      ? In[K] extends ColumnWire<ColumnType, string>
        ? OneRowSet<In[K], Extract<RowsOf<In, InputsOf<Op>>, string>>
        : Mistake<"a further input takes a column">
      : Mistake<`${Op["name"]} has no input ${K & string}`>
}

type Keys<T> = T extends unknown ? keyof T : never

/** Laid over what is given: `unknown` where it is right, a mistake where a key is unknown or the wires don't fit together. */
export type Check<Op extends AnyOperator, G> = {
  readonly [K in keyof G]: K extends "in"
    ? CheckIn<Op, G[K]>
    : K extends Keys<Given<Op>>
      ? unknown
      : Mistake<`${Op["name"]} has no ${K & string}`>
}
