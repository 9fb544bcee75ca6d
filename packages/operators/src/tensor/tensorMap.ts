/**
 * Makes a map operator of a tensor program: opened with its model, run over micro-batches of rows, its outputs as columns.
 *
 * `tensorMap` takes one program, whose life inside Train it carries too; `drivenMap` takes a host loop over programs. `deferredMap` takes
 * a module with either, loaded when a node is opened.
 */
import type { HeldTensors, HostTensors, Program } from "@bootlace/engine"
import { openLater, Operator } from "@bootlace/graph"
import type { Columns, NodeError } from "@bootlace/graph"
import type { Model, Weights } from "@bootlace/models"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope } from "effect"
import type { ImageTower } from "./ImageTower.ts"
import type { LoadedModels } from "./LoadedModels.ts"
import type {
  AnyLife,
  Architecture,
  Drive,
  ModelOf,
  ProgramContext,
  TensorSide,
  TensorsOf,
  TrainingLife
} from "./TensorOperator.ts"

/** Every tensor operator's config has it. */
export const batchSize = Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 4096 }))
  .annotate({ description: "rows of one run of the program at most; the last bits of a row can depend on it" })
  .pipe(Schema.withDecodingDefaultKey(Effect.succeed(64)))

export const normalize = Schema.Boolean.annotate({ description: "scale embeddings to unit length" }).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed(true))
)

export interface BatchConfig {
  readonly batch_size: number
}

/** A map operator that `isTensorOperator`. */
export interface TensorMap<
  Name extends string,
  Config,
  In extends Columns,
  Out extends Columns,
  Encoded,
  A extends Architecture,
  TrainIn extends Columns,
  TrainOut extends Columns
> extends Operator.MapOperator<
  Name,
  Config,
  In,
  Out,
  LoadedModels,
  Encoded,
  A,
  { readonly inputs: TrainIn; readonly outputs: TrainOut }
> {
  readonly tensors: TensorSide
}

/** What a host loop may use. */
export interface DriveContext {
  readonly node: string
  readonly seed: number
  readonly run: (program: Program, inputs: HostTensors) => Effect.Effect<HostTensors, NodeError>
  /** Tensors that stay in the engine between the runs of the loop. */
  readonly hold: Effect.Effect<HeldTensors<NodeError>, NodeError, Scope.Scope>
  /** Of an operator that `looks`: the model's image tower, which others may look through too. */
  readonly tower: ImageTower<NodeError> | undefined
  /** The program of this name, one object for all nodes of this model and config. */
  readonly program: (name: string, run: Program["run"]) => Program
}

interface CommonSpec<
  Name extends string,
  Config,
  In extends Columns,
  Out extends Columns,
  A extends Architecture,
  Encoded = unknown
> {
  readonly name: Name
  readonly version: number
  readonly description: string
  readonly config: Schema.Codec<Config, Encoded, never, never>
  /** Architectures whose model it takes; without, its program has no weights. */
  readonly model?: ReadonlyArray<A>
  readonly inputs: In
  readonly outputs: Out
  /** Its program takes `image_tokens` [U, N, D] of fewer images than texts: those of the B / U texts side by side. */
  readonly sharesImages?: boolean
  /** It sees images through the model's image tower. */
  readonly looks?: boolean
}
/** What running it needs of a spec. */
export type Lifted = Omit<CommonSpec<string, never, Columns, Columns, Architecture>, "config" | "description">

export type Run<In extends Columns, Out extends Columns> = (weights: Weights, inputs: TensorsOf<In>) => TensorsOf<Out>

/** One program, and its life inside Train. */
interface Programs<
  Config,
  In extends Columns,
  Out extends Columns,
  A extends Architecture,
  TrainIn extends Columns,
  TrainOut extends Columns
> {
  readonly program: (at: ProgramContext<Config, ModelOf<A>>) => Run<In, Out>
  /** Runs instead of the program by itself, and gives the same. */
  readonly lifted?: (at: ProgramContext<Config, ModelOf<A>>, context: DriveContext) => Drive
  /** `same`: inside Train it runs this program on these ports. */
  readonly training?: "same" | TrainingLife<Config, TrainIn, TrainOut, [A] extends [never] ? Model : ModelOf<A>>
}

/** A host loop over programs. */
interface Driven<Config, A extends Architecture> {
  readonly drive: (at: ProgramContext<Config, ModelOf<A>>, context: DriveContext) => Drive
}

interface RandomSpec {
  /** Draws random numbers, keyed by (seed, node, row id). */
  readonly random?: true
}

export type AnyDrive<Config> = (at: ProgramContext<Config, never>, context: DriveContext) => Drive

/** A program whose columns and model are no longer known. */
export interface AnyProgram<Config> {
  readonly program: (at: ProgramContext<Config, never>) => Run<Columns, Columns>
  readonly lifted?: AnyDrive<Config>
}

type AnySide<Config> = AnyProgram<Config> & { readonly training?: "same" | AnyLife }

const driveOf = async <Config>(
  spec: Lifted,
  side: AnySide<Config> | { readonly drive: AnyDrive<Config> }
): Promise<AnyDrive<Config>> => ("drive" in side ? side.drive : (await import("./Lift.ts")).programDrive(spec, side))

const lifeOf = <Config>({ inputs, outputs }: Lifted, { program, training }: AnySide<Config>): AnyLife | undefined => {
  if (training !== "same") return training
  return {
    inputs,
    outputs,
    program: (at) => {
      const run = program(at as ProgramContext<Config, never>)
      return ({ weights, inputs: tensors }) => ({ columns: run(weights, tensors) })
    }
  }
}

/** The operator of a spec; what it computes is loaded when a node is opened. */
const mapOf = <
  Name extends string,
  Config extends BatchConfig,
  In extends Columns,
  Out extends Columns,
  A extends Architecture,
  Encoded,
  TrainIn extends Columns,
  TrainOut extends Columns
>(
  spec: CommonSpec<Name, Config, In, Out, A, Encoded> & RandomSpec,
  load: () => Promise<AnySide<Config> | { readonly drive: AnyDrive<Config> }>,
  training: { readonly inputs: TrainIn; readonly outputs: TrainOut } | undefined,
  tensors: TensorSide
): TensorMap<Name, Config, In, Out, Encoded, A, TrainIn, TrainOut> => {
  const operator = Operator.map({
    ...spec,
    tensor: true,
    ...(training === undefined ? {} : { training }),
    body: {
      batchSize: (config: Config) => config.batch_size,
      open: openLater(async () => {
        const { lift } = await import("./Lift.ts")
        return lift<Config>(spec, await driveOf(spec, await load()))
      })
    }
  })
  return { ...operator, tensors }
}

export const tensorMap = <
  const Name extends string,
  Config extends BatchConfig,
  const In extends Columns,
  const Out extends Columns,
  const A extends Architecture = never,
  const TrainIn extends Columns = In,
  const TrainOut extends Columns = Out,
  Encoded = unknown
>(
  spec: CommonSpec<Name, Config, In, Out, A, Encoded> & Programs<Config, In, Out, A, TrainIn, TrainOut>
): TensorMap<Name, Config, In, Out, Encoded, A, TrainIn, TrainOut> => {
  const { program, lifted, training, ...declared } = spec
  const side = { program, lifted, training } as unknown as AnySide<Config>
  const life = lifeOf(declared, side)
  const refusesRows = life?.byRows?.refuses
  const ports = life && { inputs: life.inputs as TrainIn, outputs: life.outputs as TrainOut }
  return mapOf(declared, () => Promise.resolve(side), ports, {
    ...(life === undefined ? {} : { training: Effect.succeed(life) }),
    ...(refusesRows === undefined ? {} : { refusesRows })
  })
}

export const drivenMap = <
  const Name extends string,
  Config extends BatchConfig,
  const In extends Columns,
  const Out extends Columns,
  const A extends Architecture = never,
  Encoded = unknown
>(
  spec: CommonSpec<Name, Config, In, Out, A, Encoded> & RandomSpec & Driven<Config, A>
): TensorMap<Name, Config, In, Out, Encoded, A, never, never> => {
  const { drive, ...declared } = spec
  return mapOf(declared, () => Promise.resolve({ drive: drive as AnyDrive<Config> }), undefined, {})
}

/** As one of the two above, of a module that exports what it computes. */
export const deferredMap = <
  const Name extends string,
  Config extends BatchConfig,
  const In extends Columns,
  const Out extends Columns,
  const A extends Architecture = never,
  const TrainIn extends Columns = never,
  const TrainOut extends Columns = never,
  Encoded = unknown
>(
  spec: CommonSpec<Name, Config, In, Out, A, Encoded> &
    RandomSpec & {
      /** Its ports inside Train, where the module has a life there. */
      readonly training?: { readonly inputs: TrainIn; readonly outputs: TrainOut }
      /** The life's `byRows.refuses`. */
      readonly refusesRows?: (config: Config, architecture: string | undefined) => string | undefined
      readonly programs: () => Promise<
        NoInfer<Programs<Config, In, Out, A, TrainIn, TrainOut>> | NoInfer<Driven<Config, A>>
      >
    }
): TensorMap<Name, Config, In, Out, Encoded, A, TrainIn, TrainOut> => {
  const { programs, training, refusesRows, ...declared } = spec
  const load = programs as unknown as () => Promise<AnySide<Config>>
  const life = Effect.map(Effect.promise(load), (side) => lifeOf(declared, side)!)
  return mapOf(declared, load, training, {
    ...(training === undefined ? {} : { training: life }),
    ...(refusesRows === undefined ? {} : { refusesRows: refusesRows as NonNullable<TensorSide["refusesRows"]> })
  })
}
