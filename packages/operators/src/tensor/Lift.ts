/**
 * A tensor operator lifted over batches of rows: its model opened, its drive run over micro-batches, its outputs as columns.
 */
import type { EngineError, Keeping, LoadedModel, HostTensors, Program, Specs, Tensors } from "@bootlace/engine"
import { spanned } from "@bootlace/graph"
import type { Batch, Columns, MapBody, OpenContext, StoredType } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { engineFailure } from "./EngineFailure.ts"
import { towerProgram } from "./ImageTower.ts"
import type { ImageTower } from "./ImageTower.ts"
import type { LoadedModels, RunnableModel } from "./LoadedModels.ts"
import { prepareRows, rejectEmptyTexts, runMicroBatches } from "./MicroBatch.ts"
import { openModel } from "./OpenModel.ts"
import { outputVector } from "./OutputColumn.ts"
import { columnTensors } from "./TensorColumn.ts"
import type { AnyDrive, AnyProgram, BatchConfig, DriveContext, Lifted, Run } from "./tensorMap.ts"
import type { ProgramContext } from "./TensorOperator.ts"

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

/** Batch in, declared columns and rejected rows out. */
export const lift = <Config extends BatchConfig>(
  spec: Lifted,
  drive: AnyDrive<Config>
): MapBody<Config, LoadedModels>["open"] =>
  Effect.fnUntraced(function* (context: OpenContext<Config>) {
    const runnable = yield* openModel(context.node, context.artifacts.model, spec)
    const { opened } = runnable
    const at = { config: context.config, model: opened?.model, tokenizer: opened?.tokenizer }
    // `openModel` has checked that the model is there and of the spec's architecture, or that the spec has none.
    const isWanted = (column: string) => context.wanted?.includes(column) ?? true
    const tokens = spec.outputs["image_tokens"] === undefined || isWanted("image_tokens")
    const tower = spec.looks === true ? yield* runnable.tower!(tokens) : undefined
    const { run } = drive(at as ProgramContext<Config, never>, driveContext(context, spec, runnable, tower))
    return Effect.fnUntraced(function* (batch: Batch) {
      const preparing = prepareRows(context.node, batch, spec.inputs, opened)
      const { rows, rejected } = yield* spanned(context.node, "prepare", spec.name, preparing)
      const { batch_size } = context.config
      const { inputs, sharesImages = false } = spec
      const all = yield* runMicroBatches({ rows, inputs, model: opened, batch_size, sharesImages, run })
      const { columns: outputs, rejected: wordless } = rejectEmptyTexts(rows, all)
      const wanted = Object.entries(spec.outputs).filter(([name]) => isWanted(name))
      const vectors = wanted.map(([name, type]) => [name, outputVector(type as StoredType, outputs[name], opened)])
      const rejections = [...rejected, ...wordless].toSorted((a, b) => a.row - b.row)
      return { columns: Object.fromEntries(vectors), rejected: rejections }
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

/** The drive of one program: itself run, or what runs instead of it. */
export const programDrive =
  <Config>({ inputs }: Lifted, { program, lifted }: AnyProgram<Config>): AnyDrive<Config> =>
  (at, context) => {
    if (lifted !== undefined) return lifted(at, context)
    const made = context.program("", flat(inputs, program(at)))
    return { run: (tensors) => context.run(made, tensors) }
  }
