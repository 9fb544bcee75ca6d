/**
 * Makes a map operator of a tensor program: opened with its model, run over micro-batches of rows, its outputs as columns.
 *
 * `tensorMap` takes one program, whose life inside Train it carries too; `drivenMap` takes a host loop over programs.
 */
import type {
  EngineError,
  HeldTensors,
  HostTensors,
  Keeping,
  LoadedModel,
  Program,
  Specs,
  Tensors
} from "@bootlace/engine"
import { NodeError, Operator, spanned } from "@bootlace/graph"
import type { Batch, Columns, MapBody, OpenContext, StoredType } from "@bootlace/graph"
import type { Model, Weights } from "@bootlace/models"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope } from "effect"
import { engineFailure } from "./EngineFailure.ts"
import { towerProgram } from "./ImageTower.ts"
import type { ImageTower } from "./ImageTower.ts"
import { LoadedModels } from "./LoadedModels.ts"
import type { RunnableModel } from "./LoadedModels.ts"
import { prepareRows, rejectEmptyTexts, runMicroBatches } from "./MicroBatch.ts"
import { outputVector } from "./OutputColumn.ts"
import { columnTensors } from "./TensorColumn.ts"
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

interface BatchConfig {
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
type Lifted = Omit<CommonSpec<string, never, Columns, Columns, Architecture>, "config" | "description">

type Run<In extends Columns, Out extends Columns> = (weights: Weights, inputs: TensorsOf<In>) => TensorsOf<Out>

interface ProgramSpec<
  Name extends string,
  Config,
  In extends Columns,
  Out extends Columns,
  A extends Architecture,
  TrainIn extends Columns,
  TrainOut extends Columns,
  Encoded
> extends CommonSpec<Name, Config, In, Out, A, Encoded> {
  readonly program: (at: ProgramContext<Config, ModelOf<A>>) => Run<In, Out>
  /** Runs instead of the program by itself, and gives the same. */
  readonly lifted?: (at: ProgramContext<Config, ModelOf<A>>, context: DriveContext) => Drive
  /** `same`: inside Train it runs this program on these ports. */
  readonly training?: "same" | TrainingLife<Config, TrainIn, TrainOut, [A] extends [never] ? Model : ModelOf<A>>
}

interface DrivenSpec<
  Name extends string,
  Config,
  In extends Columns,
  Out extends Columns,
  A extends Architecture,
  Encoded
> extends CommonSpec<Name, Config, In, Out, A, Encoded> {
  /** Draws random numbers, keyed by (seed, node, row id). */
  readonly random?: true
  readonly drive: (at: ProgramContext<Config, ModelOf<A>>, context: DriveContext) => Drive
}

/** Opens the model and refuses one of another architecture. */
const openModel = Effect.fnUntraced(function* <Config>(context: OpenContext<Config>, spec: Lifted) {
  const models = yield* LoadedModels
  const wanted = spec.model?.join(" or ")
  const artifact = context.artifacts.model
  if (wanted === undefined) return yield* models.use(context.node, undefined)
  const refuse = (got: string) =>
    new NodeError({ code: "R208", node: context.node, detail: `${spec.name} needs a ${wanted} model, got ${got}` })
  if (artifact === undefined) return yield* refuse("none")
  const runnable = yield* models.use(context.node, artifact)
  const { architecture } = runnable.opened!.model
  if (!spec.model!.includes(architecture)) return yield* refuse(`a ${architecture} model`)
  return runnable
})

const computing = <A>(node: string, { name }: Pick<Program, "name">, work: Effect.Effect<A, EngineError>) =>
  spanned(node, "compute", name, work.pipe(Effect.mapError(engineFailure(node))))

const heldBy = (node: string, { hold }: LoadedModel): DriveContext["hold"] =>
  hold.pipe(
    Effect.map(({ run, zeros, take }) => ({
      run: (program: Program, inputs: HostTensors, keeping?: Keeping) =>
        computing(node, program, run(program, inputs, keeping)),
      zeros: (specs: Specs) => zeros(specs).pipe(Effect.mapError(engineFailure(node))),
      take: (rows: Int32Array) => take(rows).pipe(Effect.mapError(engineFailure(node)))
    })),
    Effect.mapError(engineFailure(node))
  )

const driveContext = <Config>(
  { node, seed, config }: OpenContext<Config>,
  spec: Lifted,
  { loaded, program, opened }: RunnableModel,
  tower: ImageTower | undefined
): DriveContext => ({
  node,
  seed,
  run: (made, inputs) => computing(node, made, loaded.run(made, inputs)),
  hold: heldBy(node, loaded),
  tower: tower && ((pixels) => computing(node, towerProgram, tower(pixels))),
  program: (name, run) =>
    program(`${spec.name} ${spec.version} ${name} ${JSON.stringify(config)}`, () => ({
      name: name === "" ? spec.name : `${spec.name} ${name}`,
      weights: Object.keys(opened?.model.shapes ?? {}),
      run
    }))
})

type AnyDrive<Config> = (at: ProgramContext<Config, never>, context: DriveContext) => Drive

/** Batch in, declared columns and rejected rows out. */
const lift = <Config extends BatchConfig>(spec: Lifted, drive: AnyDrive<Config>): MapBody<Config, LoadedModels> => ({
  batchSize: (config) => config.batch_size,
  open: Effect.fnUntraced(function* (context: OpenContext<Config>) {
    const runnable = yield* openModel(context, spec)
    const { opened } = runnable
    const at = { config: context.config, model: opened?.model, tokenizer: opened?.tokenizer }
    // `openModel` has checked that the model is there and of the spec's architecture, or that the spec has none.
    const tower = spec.looks === true ? yield* runnable.tower! : undefined
    const { run } = drive(at as ProgramContext<Config, never>, driveContext(context, spec, runnable, tower))
    return Effect.fnUntraced(function* (batch: Batch) {
      const preparing = prepareRows(context.node, batch, spec.inputs, opened)
      const { rows, rejected } = yield* spanned(context.node, "prepare", spec.name, preparing)
      const { batch_size } = context.config
      const { inputs, sharesImages = false } = spec
      const all = yield* runMicroBatches({ rows, inputs, model: opened, batch_size, sharesImages, run })
      const { columns: outputs, rejected: wordless } = rejectEmptyTexts(rows, all)
      const vectors = Object.entries(spec.outputs).map(([name, type]) => [
        name,
        outputVector(type as StoredType, outputs[name], opened)
      ])
      const rejections = [...rejected, ...wordless].toSorted((a, b) => a.row - b.row)
      return { columns: Object.fromEntries(vectors), rejected: rejections }
    })
  })
})

/** Flat tensor names in, as `collate` makes them, and columns out. */
const flat =
  (inputs: Columns, run: Run<Columns, Columns>): Program["run"] =>
  (weights, tensors) => {
    const columns = Object.entries(inputs).map(([name, type]) => [
      name,
      columnTensors(type as StoredType, name, tensors)
    ])
    return run(weights, Object.fromEntries(columns)) as Tensors
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
  spec: ProgramSpec<Name, Config, In, Out, A, TrainIn, TrainOut, Encoded>
): TensorMap<Name, Config, In, Out, Encoded, A, TrainIn, TrainOut> => {
  const { program, lifted, training, ...declared } = spec
  const drive = (at: ProgramContext<Config, ModelOf<A>>, context: DriveContext): Drive => {
    if (lifted !== undefined) return lifted(at, context)
    const made = context.program("", flat(spec.inputs, program(at) as Run<Columns, Columns>))
    return { run: (inputs) => context.run(made, inputs) }
  }
  const same: TrainingLife<Config, In, Out, ModelOf<A>> = {
    inputs: spec.inputs,
    outputs: spec.outputs,
    program: (at) => {
      const run = program(at)
      return ({ weights, inputs }) => ({ columns: run(weights, inputs) })
    }
  }
  const life = training === "same" ? same : training
  const operator = Operator.map({
    ...declared,
    tensor: true,
    ...(life === undefined ? {} : { training: { inputs: life.inputs as TrainIn, outputs: life.outputs as TrainOut } }),
    body: lift<Config>(spec, drive as AnyDrive<Config>)
  })
  return { ...operator, tensors: life === undefined ? {} : { training: life as unknown as AnyLife } }
}

export const drivenMap = <
  const Name extends string,
  Config extends BatchConfig,
  const In extends Columns,
  const Out extends Columns,
  const A extends Architecture = never,
  Encoded = unknown
>(
  spec: DrivenSpec<Name, Config, In, Out, A, Encoded>
): TensorMap<Name, Config, In, Out, Encoded, A, never, never> => {
  const { drive, ...declared } = spec
  const operator = Operator.map({
    ...declared,
    tensor: true,
    body: lift<Config>(spec, drive as AnyDrive<Config>)
  })
  return { ...operator, tensors: {} }
}
