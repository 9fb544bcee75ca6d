/**
 * What the steps of a training are given: rows of the datasets and feeds of the operators, whole or in micro-batches.
 *
 * While the engine computes, the host prepares what comes next. A part of a batch is a function of (step, its rows), so a micro-batch that
 * gradient caching asks for a second time has the same crops and masks.
 */
import type { EngineError, HostTensors, MicroBatches, StepResult, Trainer } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { microBatchSize } from "./TrainConfig.ts"
import type { ComposedTraining } from "./TrainingProgram.ts"
import { trainingRows } from "./TrainingRows.ts"
import type { StepRows } from "./TrainingRows.ts"
import type { TrainingJob } from "./TrainingRun.ts"

/** A step with its inputs. */
export interface FedStep {
  readonly run: (trainer: Trainer, learning_rate: number) => Effect.Effect<StepResult, EngineError | NodeError>
  /** Of the rows seen so far, for errors. */
  readonly ids: () => ReadonlyArray<string>
}
export type TrainingFeed = (step: number) => Effect.Effect<FedStep, NodeError>

/** Rows of a step to prepare. */
interface Part {
  readonly step: number
  readonly first: number
  readonly count: number
}

const openStreams = Effect.fnUntraced(function* (
  { node, seed, config, start, datasets }: TrainingJob,
  composed: ComposedTraining
) {
  const augment = config.augment === "none" ? undefined : config.augment
  const { batch_size, group_by_length } = config
  const data = { node, seed, batch_size, group_by_length, opened: start, augment }
  const names = [...new Set(composed.leaves.map(({ stream }) => stream))]
  return yield* Effect.forEach(names, (stream) => {
    const leaves = composed.leaves.filter((leaf) => leaf.stream === stream)
    const dataset = datasets[stream]
    return dataset === undefined
      ? Effect.fail(new NodeError({ code: "R303", node, detail: `the graph reads ${stream}, which is not wired` }))
      : trainingRows(data, stream, dataset, leaves)
  })
})

/** Prepares a part: the one begun ahead, if it is that. */
const preparation = Effect.fnUntraced(function* (job: TrainingJob, composed: ComposedTraining) {
  const { seed, node, config } = job
  const { batch_size, steps } = config
  const streams = yield* openStreams(job, composed)
  const scope = yield* Effect.scope
  const longest = Math.max(...streams.map((stream) => stream.num_rows))
  const prepare = Effect.fnUntraced(function* ({ step, first, count }: Part) {
    const parts = yield* Effect.forEach(streams, (stream) => stream.at(step, first, count))
    const epoch = (step * batch_size) / longest
    const feeds = composed.feeds({ seed, node, step, batch_size, first, count, epoch })
    const inputs: HostTensors = Object.assign({}, ...parts.map((part) => part.inputs), feeds)
    return { inputs, ids: parts.flatMap((part) => part.ids) } satisfies StepRows
  })
  let ahead: { readonly key: string; readonly fiber: Fiber.Fiber<StepRows, NodeError> } | undefined
  const keyOf = ({ step, first }: Part): string => `${step} ${first}`
  return Effect.fnUntraced(function* (part: Part, next: Part) {
    const prepared = yield* ahead?.key === keyOf(part) ? Fiber.join(ahead.fiber) : prepare(part)
    ahead = next.step < steps ? { key: keyOf(next), fiber: yield* Effect.forkIn(prepare(next), scope) } : undefined
    return prepared
  })
})

/** The parts of a batch: first rows and counts. The last may be smaller. */
const partsOf = (batch_size: number, size: number): ReadonlyArray<Omit<Part, "step">> =>
  Array.from({ length: Math.ceil(batch_size / size) }, (_, i) => ({
    first: i * size,
    count: Math.min(size, batch_size - i * size)
  }))

/** Fails with R303 on a dataset without rows. */
export const openFeed = Effect.fnUntraced(function* (job: TrainingJob, composed: ComposedTraining) {
  const prepare = yield* preparation(job, composed)
  const { batch_size } = job.config
  const size = microBatchSize(job.config)
  const parts = partsOf(batch_size, size ?? batch_size)
  const whole: TrainingFeed = Effect.fnUntraced(function* (step) {
    const { inputs, ids } = yield* prepare({ step, ...parts[0]! }, { step: step + 1, ...parts[0]! })
    return { run: (trainer, learning_rate) => trainer.step(inputs, learning_rate), ids: () => ids }
  })
  const cached: TrainingFeed = (step) =>
    Effect.sync(() => {
      const ids: Array<ReadonlyArray<string>> = []
      let asked = 0
      const inputs: MicroBatches<NodeError>["inputs"] = Effect.fnUntraced(function* (index) {
        const isLast = ++asked === 2 * parts.length
        const next = { step: isLast ? step + 1 : step, ...parts[(index + 1) % parts.length]! }
        const prepared = yield* prepare({ step, ...parts[index]! }, next)
        ids[index] = prepared.ids
        return prepared.inputs
      })
      const batch = { sizes: parts.map(({ count }) => count), inputs }
      return { run: (trainer, learning_rate) => trainer.cachedStep(batch, learning_rate), ids: () => ids.flat() }
    })
  return size === undefined ? whole : cached
})
