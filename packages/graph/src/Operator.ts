/**
 * The operator contract: a value made by one of these constructors. Together they are the whole vocabulary.
 *
 *   source  yields rows from shards; its content hash is its identity
 *   map     one row out per row in, same order; appends columns
 *   route   every row goes to exactly one named port
 *   expand  0..k rows per row
 *   union   concatenation in declared order, columns matched by name
 *   fold    consumes rows, produces an artifact
 *   train   a fold over datasets with random access; holds a graph of differentiable operators
 */
import type { Schema } from "effect"
import type { ExpandBody, FoldBody, MapBody, RouteBody, SourceBody, TrainBody } from "./Body.ts"
import type { ArtifactType, ColumnType, Columns } from "./ColumnType.ts"
import type { NodeSpec } from "./NodeSpec.ts"
import type { TrainingGraph } from "./Plan.ts"

/** What an input port accepts. A bare column type is a required column. */
export type Input =
  | ColumnType
  | {
      readonly column: ColumnType
      readonly optional?: true
      /** A list of columns, each of its own row set. */ readonly many?: true
    }
  | { readonly stream: Columns; readonly many?: true }
  | { readonly artifact: ArtifactType; readonly optional?: true; readonly many?: true }
export type Inputs = Readonly<Record<string, Input>>

export type Kind = "source" | "map" | "route" | "expand" | "union" | "fold" | "train"

/** Of models. */
export type Architecture = "clip" | "blip" | "siglip"

export type ConfigSchema = Schema.Codec<unknown, unknown, never, never>

/** The life of an operator inside a Train node: same config, other ports. */
export interface TrainingPorts {
  readonly inputs: Inputs
  readonly outputs: Columns
}

/**
 * What every operator says of itself. The last three parameters are there for composition in TypeScript: how the config is
 * written, the architectures of its model (never: it takes none), whether further inputs are open.
 */
export interface Declaration<
  Name extends string,
  Config,
  In extends Inputs,
  Encoded = any,
  Models extends Architecture = any,
  Open extends boolean = any
> {
  readonly name: Name
  /** Part of every cache key: raise it when results change. */
  readonly version: number
  /** One sentence for `bootlace ops` and the editor. */
  readonly description: string
  /** A struct whose fields carry descriptions and defaults. `op`, `in`, `model`, `init`, `graph`, `minimize` are spelled outside it. */
  readonly config: Schema.Codec<Config, Encoded, never, never>
  readonly inputs: In
  /** Any further column may be wired under a name of the author's (route, WriteShards); it is passed on under that name. */
  readonly openInputs?: Open
  /** Architectures whose model it takes as input `model`. */
  readonly model?: ReadonlyArray<Models>
  /** Runs tensor programs: the engine's numerics id belongs to its cache key. */
  readonly tensor?: true
  /** Draws random numbers: the plan's seed belongs to its cache key. */
  readonly random?: true
  /** Lives inside Train too. */
  readonly training?: TrainingPorts
  /** What only the config and the wires together show, once both are right by themselves; found before anything runs. */
  readonly check?: (config: Config, wired: Wired, training?: TrainingCheck) => ReadonlyArray<ConfigMistake>
  /** Replaces the node by others before the plan is checked further (Filter with a model, Train's objectives); undefined: stays. */
  readonly rewrite?: (node: NodeSpec) => Rewritten | undefined
}

/** The wired inputs by name: columns and artifacts with their types, rows as "rows". */
export type Wired = Readonly<Record<string, ColumnType | ArtifactType | "rows">>

/** Of a Train node: its graph, right by itself, and the architecture of the model that it trains, where it is known. */
export interface TrainingCheck {
  readonly graph: TrainingGraph
  readonly architecture: string | undefined
}

/** A mistake at a place of the config: `["keep", "match_probability"]`. */
export interface ConfigMistake {
  readonly path: ReadonlyArray<string>
  /** What is expected there: stands beside the carets. */
  readonly message: string
  /** Names one of which may be meant by the last key of the path. */
  readonly known?: ReadonlyArray<string>
}

/**
 * Nodes that stand in for one. `as` says which of them answers for the replaced node's outputs: it keeps the id, the others
 * become `<id>/<name>`. References that the given node had are opaque words: pass them on; the new nodes' own names are
 * references among them.
 */
export interface Rewritten {
  readonly nodes: Readonly<Record<string, NodeSpec>>
  readonly as: string
}

export interface SourceOperator<
  Name extends string = string,
  Config = any,
  Ports extends Readonly<Record<string, Columns>> = any,
  R = any,
  Encoded = any
> extends Declaration<Name, Config, {}, Encoded> {
  readonly kind: "source"
  readonly ports: Ports
  /** Further columns by port that a config asks for (class names, flags beside the declared ones). */
  readonly portsFor?: (config: Config) => Readonly<Record<string, Columns>>
  readonly body: SourceBody<Config, R>
}
export interface MapOperator<
  Name extends string = string,
  Config = any,
  In extends Inputs = any,
  Out extends Columns = any,
  R = any,
  Encoded = any,
  Models extends Architecture = any,
  Training extends TrainingPorts = any
> extends Declaration<Name, Config, In, Encoded, Models, false> {
  readonly kind: "map"
  readonly outputs: Out
  readonly training?: Training
  readonly body: MapBody<Config, R>
}
export interface RouteOperator<
  Name extends string = string,
  Config = any,
  In extends Inputs = any,
  Port extends string = any,
  R = any,
  Encoded = any,
  Models extends Architecture = any,
  Open extends boolean = any
> extends Declaration<Name, Config, In, Encoded, Models, Open> {
  readonly kind: "route"
  /** Each starts a row set whose columns are the node's inputs. */
  readonly ports: ReadonlyArray<Port>
  readonly body: RouteBody<Config, R>
}
export interface ExpandOperator<
  Name extends string = string,
  Config = any,
  In extends Inputs = any,
  Out extends Columns = any,
  R = any,
  Encoded = any,
  Models extends Architecture = any,
  Open extends boolean = any
> extends Declaration<Name, Config, In, Encoded, Models, Open> {
  readonly kind: "expand"
  /** Starts a row set `rows`: the node's inputs and these columns. */
  readonly outputs: Out
  readonly body: ExpandBody<Config, R>
}
/** Input `rows`: a list of streams; its port `rows` has the columns common to all of them. The runtime needs no body for it. */
export interface UnionOperator<Name extends string = string, Encoded = any> extends Declaration<
  Name,
  any,
  any,
  Encoded
> {
  readonly kind: "union"
}
export interface FoldOperator<
  Name extends string = string,
  Config = any,
  In extends Inputs = any,
  Out extends Readonly<Record<string, ArtifactType>> = any,
  R = any,
  Encoded = any,
  Models extends Architecture = any,
  Open extends boolean = any
> extends Declaration<Name, Config, In, Encoded, Models, Open> {
  readonly kind: "fold"
  /** Exactly one artifact. */
  readonly outputs: Out
  readonly body: FoldBody<Config, R>
}
export interface TrainOperator<
  Name extends string = string,
  Config = any,
  In extends Inputs = any,
  R = any,
  Encoded = any
> extends Declaration<Name, Config, In, Encoded> {
  readonly kind: "train"
  readonly outputs: { readonly model: "model" }
  readonly body: TrainBody<Config, R>
}

export type AnyOperator =
  | SourceOperator
  | MapOperator
  | RouteOperator
  | ExpandOperator
  | UnionOperator
  | FoldOperator
  | TrainOperator

type Spec<O> = Omit<O, "kind">

export const source = <
  const Name extends string,
  Config,
  const Ports extends Readonly<Record<string, Columns>>,
  R,
  Encoded
>(
  spec: Spec<SourceOperator<Name, Config, Ports, R, Encoded>>
): SourceOperator<Name, Config, Ports, R, Encoded> => ({ ...spec, kind: "source" })

export const map = <
  const Name extends string,
  Config,
  const In extends Inputs,
  const Out extends Columns,
  R,
  Encoded,
  const Models extends Architecture = never,
  const Training extends TrainingPorts = never
>(
  spec: Spec<MapOperator<Name, Config, In, Out, R, Encoded, Models, Training>>
): MapOperator<Name, Config, In, Out, R, Encoded, Models, Training> => ({ ...spec, kind: "map" })

export const route = <
  const Name extends string,
  Config,
  const In extends Inputs,
  const Port extends string,
  R,
  Encoded,
  const Models extends Architecture = never,
  const Open extends boolean = false
>(
  spec: Spec<RouteOperator<Name, Config, In, Port, R, Encoded, Models, Open>>
): RouteOperator<Name, Config, In, Port, R, Encoded, Models, Open> => ({ ...spec, kind: "route" })

export const expand = <
  const Name extends string,
  Config,
  const In extends Inputs,
  const Out extends Columns,
  R,
  Encoded,
  const Models extends Architecture = never,
  const Open extends boolean = false
>(
  spec: Spec<ExpandOperator<Name, Config, In, Out, R, Encoded, Models, Open>>
): ExpandOperator<Name, Config, In, Out, R, Encoded, Models, Open> => ({ ...spec, kind: "expand" })

export const union = <const Name extends string, Encoded>(
  spec: Spec<UnionOperator<Name, Encoded>>
): UnionOperator<Name, Encoded> => ({ ...spec, kind: "union" })

export const fold = <
  const Name extends string,
  Config,
  const In extends Inputs,
  const Out extends Readonly<Record<string, ArtifactType>>,
  R,
  Encoded,
  const Models extends Architecture = never,
  const Open extends boolean = false
>(
  spec: Spec<FoldOperator<Name, Config, In, Out, R, Encoded, Models, Open>>
): FoldOperator<Name, Config, In, Out, R, Encoded, Models, Open> => ({ ...spec, kind: "fold" })

export const train = <const Name extends string, Config, const In extends Inputs, R, Encoded>(
  spec: Spec<TrainOperator<Name, Config, In, R, Encoded>>
): TrainOperator<Name, Config, In, R, Encoded> => ({ ...spec, kind: "train" })

/** Operators by name: what a YAML file may name. */
export type Registry = Readonly<Record<string, AnyOperator>>
