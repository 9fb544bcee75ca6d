/**
 * The steps of a training: rows, feeds, one step of the engine's trainer, the queues' new rows, a line of history.
 *
 * Everything that a step does is a function of the state before it and of its number, so a training resumed from a checkpoint
 * gives the bytes of one that never stopped. While the engine computes a step, the host prepares the next one's rows.
 */
import { Engine } from "@bootlace/engine"
import type { EngineError, HostTensors, Specs, StepResult, Trainer, TrainingStart } from "@bootlace/engine"
import { NodeError, spanned } from "@bootlace/graph"
import type { ArtifactWriter, Dataset, Metrics, Training, TrainingGraph } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { byRowsOf } from "./CachedTraining.ts"
import { engineFailure } from "./EngineFailure.ts"
import { mergeAdapters } from "./Lora.ts"
import type { Lora } from "./Lora.ts"
import type { ModelArtifact } from "./ModelArtifact.ts"
import { writeModel } from "./ModelArtifact.ts"
import { microBatchSize } from "./TrainConfig.ts"
import type { TrainConfig } from "./TrainConfig.ts"
import { selectWeights } from "./TrainedWeights.ts"
import { decodeCheckpoint, encodeCheckpoint, encodeHistory, unfit } from "./TrainingFiles.ts"
import type { History } from "./TrainingFiles.ts"
import { composeTraining, enqueuePrefix, livingGraph } from "./TrainingProgram.ts"
import type { ComposedTraining } from "./TrainingProgram.ts"
import { openFeed } from "./TrainingFeed.ts"
import type { TrainingFeed } from "./TrainingFeed.ts"
import { learningRateOf, optimizerOf } from "./TrainingSettings.ts"

export interface TrainingJob {
  readonly node: string
  readonly seed: number
  readonly config: TrainConfig
  readonly start: ModelArtifact
  readonly graph: TrainingGraph
  readonly datasets: Readonly<Record<string, Dataset>>
  readonly writer: ArtifactWriter
}

/** Steps whose losses are averaged for the node's metrics. */
const lastSteps = 50

/** Overwrites the oldest rows of every queue; one that isn't a multiple of the batch wraps inside the batch. */
const enqueueAll = Effect.fnUntraced(function* (trainer: Trainer, state: Specs, { outputs }: StepResult, step: number) {
  for (const [output, rows] of Object.entries(outputs)) {
    if (!output.startsWith(enqueuePrefix)) continue
    const array = output.slice(enqueuePrefix.length)
    const [Q = 0] = state[array]!.shape
    const [B = 0, width = 1] = rows.shape
    for (let done = 0; done < B;) {
      const at = (step * B + done) % Q
      const count = Math.min(B - done, Q - at)
      const data = rows.data.slice(done * width, (done + count) * width)
      yield* trainer.enqueue(array, at, { dtype: rows.dtype, shape: [count, width], data })
      done += count
    }
  }
})

const listed = (ids: ReadonlyArray<string>): string =>
  ids.length <= 256 ? ids.join(", ") : `${ids.slice(0, 256).join(", ")} and ${ids.length - 256} more`

/** A step's failure with the rows it was computed on. */
const stepFailure = (node: string, step: number, ids: ReadonlyArray<string>) => (error: EngineError) =>
  error.reason === "NonFinite"
    ? new NodeError({
        code: "R301",
        node,
        detail: `step ${step}: ${error.detail}; its rows: ${listed(ids)}`,
        hint: "this step has changed no weight; try a lower learning_rate or max_grad_norm, or look at these rows"
      })
    : engineFailure(node)(error)

/** Losses as they are without their weights in the sum, metrics, the sum and the gradient's norm. */
const metricsOf = ({ total, grad_norm, outputs }: StepResult): Metrics => {
  const scalars = Object.entries(outputs).filter(([name]) => !name.startsWith(enqueuePrefix))
  return { ...Object.fromEntries(scalars.map(([name, { data }]) => [name, data[0]!])), loss: total, grad_norm }
}

/** Averages over the last steps, the factor that similarities are multiplied by, and what is added to them. */
const finalMetrics = (history: History, weights: HostTensors): Metrics => {
  const last = history.slice(-lastSteps)
  const losses = Object.keys(last[0] ?? {}).filter((name) => name.endsWith("loss"))
  const mean = (name: string): number => last.reduce((sum, entry) => sum + entry[name]!, 0) / last.length
  const scale = weights["logit_scale"]?.data[0]
  const bias = weights["logit_bias"]?.data[0]
  const temperature = weights["temp"]?.data[0]
  return {
    steps: history.length,
    ...Object.fromEntries(losses.map((name) => [name, mean(name)])),
    ...(scale === undefined ? {} : { similarity_scale: Math.exp(scale) }),
    ...(bias === undefined ? {} : { similarity_bias: bias }),
    ...(temperature === undefined ? {} : { similarity_scale: 1 / temperature })
  }
}

/** Everything that the steps need. */
interface Opened {
  readonly job: TrainingJob
  readonly lora: Lora | undefined
  readonly composed: ComposedTraining
  readonly feed: TrainingFeed
  /** Makes a trainer, which lives as long as the training. */
  readonly begin: (start: TrainingStart) => Effect.Effect<Trainer, NodeError>
}

/** Opens a training. Fails with R208 where the graph doesn't fit the model. */
export const openTraining = Effect.fnUntraced(function* (job: TrainingJob) {
  const { node, seed, config, start } = job
  const scope = yield* Effect.scope
  const executor = yield* Engine
  const living = yield* livingGraph(job.graph)
  const { selection, composed } = yield* Effect.try({
    try: () => {
      const selection = selectWeights(start.model, config, seed)
      const composition = { selection, ...(microBatchSize(config) === undefined ? {} : { byRowsOf }) }
      const name = `Train (node ${node})`
      return { selection, composed: composeTraining(name, living, start, config.batch_size, composition) }
    },
    catch: (cause) =>
      new NodeError({ code: "R208", node, detail: cause instanceof Error ? cause.message : String(cause) })
  })
  const feed = yield* openFeed(job, composed)
  const loaded = yield* executor
    .load({ ...start.weights, ...selection.lora?.initial })
    .pipe(Effect.mapError(engineFailure(node)))
  const optimizer = optimizerOf(config, start.model, composed.momentum)
  const { memory } = config
  const program = memory === undefined ? composed.program : { ...composed.program, memory }
  const begin: Opened["begin"] = (from) =>
    loaded
      .train(program, optimizer, from)
      .pipe(Effect.mapError(engineFailure(node)), Effect.provideService(Scope.Scope, scope))
  return trainingOf({ job, lora: selection.lora, composed, feed, begin })
})

/** The trainer is made at the first step, or out of a checkpoint. */
const trainingOf = ({ job, lora, composed, feed, begin }: Opened): Training<never> => {
  const { node, seed, config, start, datasets, writer } = job
  const { steps } = config
  const fail = engineFailure(node)
  const rows = Math.max(...Object.values(datasets).map(({ numRows }) => numRows))
  const learningRate = learningRateOf(config, start.model, rows)
  let trainer: Trainer | undefined
  let history: History = []

  const current = Effect.gen(function* () {
    trainer ??= yield* begin({ _tag: "Fresh", state: composed.initialState(seed) })
    return trainer
  })
  return {
    steps,
    step: Effect.fnUntraced(function* (number) {
      const trainer = yield* current
      const learning_rate = learningRate(number)
      const { ids, run } = yield* spanned(node, "wait", `rows -> ${node}`, feed(number))
      const result = yield* spanned(node, "compute", "step", run(trainer, learning_rate)).pipe(
        Effect.mapError((error) => (error._tag === "NodeError" ? error : stepFailure(node, number, ids())(error)))
      )
      yield* enqueueAll(trainer, composed.program.state, result, number).pipe(Effect.mapError(fail))
      const metrics = { ...metricsOf(result), learning_rate }
      history.push({ step: number, ...metrics })
      return metrics
    }),
    snapshot: Effect.gen(function* () {
      const trainer = yield* current
      return encodeCheckpoint(yield* trainer.snapshot.pipe(Effect.mapError(fail)), history)
    }),
    restore: Effect.fnUntraced(function* (files) {
      const checkpoint = yield* decodeCheckpoint(node, files)
      trainer = yield* begin({ _tag: "Resumed", snapshot: checkpoint.snapshot }).pipe(Effect.mapError(unfit))
      history = checkpoint.history
    }),
    finish: Effect.gen(function* () {
      const trainer = yield* current
      const snapshot = yield* trainer.snapshot.pipe(Effect.mapError(fail))
      const trained = config.ema === undefined ? snapshot.weights : snapshot.ema
      const weights =
        lora === undefined ? { ...start.weights, ...trained } : mergeAdapters(lora, start.weights, trained)
      yield* writeModel(writer, { ...start, weights })
      yield* writer.write("history.json", encodeHistory(history))
      return finalMetrics(history, weights)
    })
  }
}
