/**
 * Run: a plan over a store, stage by stage. Whatever is in the store already isn't done again, so running a finished plan
 * does nothing and running an interrupted one goes on.
 *
 * Each stage is an idempotent function of (plan, store); a task's key says when it is done. A run is one workflow, a task one
 * activity of it: with a journal the next process knows what was begun, done and given up.
 */
import { ArtifactStore } from "@bootlace/data"
import type { CommittedArtifact, Files } from "@bootlace/data"
import { NodeError, Spans } from "@bootlace/graph"
import type { DrawnNode, Plan, RunRecord, Source, SourceBody } from "@bootlace/graph"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Scope } from "effect"
import { runChain } from "./Chain.ts"
import { sweepCheckpoints } from "./Checkpoint.ts"
import { checkCounts } from "./CountCheck.ts"
import { ensureSpace } from "./DiskSpace.ts"
import { fileContent, runFold } from "./Fold.ts"
import { callOperator, storing } from "./Guard.ts"
import { Journal } from "./Journal.ts"
import type { History } from "./Journal.ts"
import { Keys } from "./Keys.ts"
import type { Known } from "./Keys.ts"
import { layoutOf } from "./Layout.ts"
import type { Layout, Stage } from "./Layout.ts"
import { lockPlan } from "./Lock.ts"
import { Progress } from "./Progress.ts"
import { Recorder } from "./Recorder.ts"
import { lastRun, newRunId, writeKeys, writeRun } from "./RunFolder.ts"
import type { RunKeys } from "./RunFolder.ts"
import { defaultSettings, openContext } from "./Session.ts"
import type { Session, Settings } from "./Session.ts"
import { runTrain } from "./Train.ts"

export interface RunOptions extends Partial<Settings> {
  /** Wait for another run of the same plan in the same store instead of refusing. */
  readonly wait?: boolean
  /** Told when an unfinished run of the plan is taken up, before its work goes on. */
  readonly onResume?: (run: string, history: History) => Effect.Effect<void>
}

const wholeRun = { node: "run" }

/** The plan's layout; its errors are the plan's. */
export const planLayout = (plan: Plan): Effect.Effect<Layout, NodeError> =>
  Effect.try({
    try: () => layoutOf(plan),
    catch: (cause) =>
      cause instanceof NodeError ? cause : new NodeError({ ...wholeRun, code: "R231", detail: String(cause) })
  })

/** Sources stay open for the whole run: their content hashes begin every key. */
export const openSources = Effect.fnUntraced(function* <R>(layout: Layout, settings: Settings) {
  const sources = new Map<string, Source<unknown>>()
  for (const node of layout.plan.nodes) {
    if (node.operator.kind !== "source") continue
    const body = node.operator.body as SourceBody<unknown, R>
    const context = openContext({ layout, settings }, node, new Map())
    const source = yield* callOperator<Source<R>, R | Scope.Scope>({ node: node.id }, settings.call_timeout, () =>
      body.open(context)
    )
    sources.set(node.id, source as Source<unknown>)
  }
  return sources
})

/** Hashes of the files that folds read, by node. */
const foldContents = Effect.fnUntraced(function* <R>(layout: Layout, settings: Settings) {
  const contents = new Map<string, string>()
  for (const node of layout.plan.nodes) {
    if (node.operator.kind !== "fold") continue
    const hash = yield* fileContent<R>({ layout, settings }, node)
    if (hash !== undefined) contents.set(node.id, hash)
  }
  return contents
})

/** Reads every file that folds name: keys hang on what is in them. */
export const keysOf = <R>(
  layout: Layout,
  settings: Settings,
  sources: ReadonlyMap<string, Source<unknown>>,
  artifacts: ReadonlyMap<string, CommittedArtifact>
) =>
  Effect.map(foldContents<R>(layout, settings), (contents) => {
    const known: Known = {
      source: (id) => sources.get(id)!,
      content: (id) => contents.get(id),
      artifact: (id) => artifacts.get(id)!
    }
    return new Keys(layout, known, settings.numerics)
  })

const runStage = <R>(session: Session, stage: Stage): Effect.Effect<void, NodeError, R> => {
  if (stage._tag === "Chain") return runChain<R>(session, stage) as Effect.Effect<void, NodeError, R>
  return (stage._tag === "Fold" ? runFold<R>(session, stage.node) : runTrain<R>(session, stage.node)) as Effect.Effect<
    void,
    NodeError,
    R
  >
}

const drawn = (plan: Plan): ReadonlyArray<DrawnNode> =>
  plan.nodes.map(({ id, operator, axes, inputs }) => ({
    id,
    op: operator.name,
    kind: operator.kind,
    axes,
    inputs: Object.entries(inputs).flatMap(([input, wires]) =>
      wires.map((wire) => ({
        input,
        from: wire.node,
        port: wire._tag === "Artifact" ? wire.output : (wire.port ?? (wire._tag === "Column" ? wire.column : ""))
      }))
    )
  }))

/** The record of this run as it stands. */
const recordOf = Effect.fnUntraced(function* (
  session: Session,
  start: Start,
  status: RunRecord["status"],
  error?: string
) {
  const { layout, settings, recorder } = session
  const { plan } = layout
  const elapsed = Number((yield* Clock.monotonicTimeNanos) - start.nanos) / 1e9
  const record: RunRecord = {
    run: start.run,
    pipeline: plan.name,
    plan: plan.hash,
    status,
    seed: plan.seed,
    axes: plan.axes,
    engine: settings.engine,
    started: start.started,
    seconds: start.before + elapsed,
    nodes: recorder.nodes,
    metrics: recorder.metrics,
    rows: recorder.rows,
    artifacts: recorder.artifacts,
    graph: drawn(plan),
    ...(error === undefined ? {} : { error })
  }
  return record
})

interface Start {
  readonly run: string
  readonly started: string
  /** Seconds spent before this process took the run up. */
  readonly before: number
  readonly nanos: bigint
}

/** An unfinished run of the same plan is taken up again under its own name. */
const startRun = Effect.fnUntraced(function* (root: string, plan: string) {
  const last = yield* storing(wholeRun)(lastRun(root, (record) => record.plan === plan))
  const nanos = yield* Clock.monotonicTimeNanos
  const now = new Date(yield* Clock.currentTimeMillis).toISOString()
  const open = last !== undefined && last.status !== "done" ? last : undefined
  const start: Start =
    open === undefined
      ? { run: yield* newRunId, started: now, before: 0, nanos }
      : { run: open.run, started: open.started, before: open.seconds, nanos }
  return { start, before: open }
})

const explain = (exit: Exit.Exit<unknown, NodeError>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  return Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : Cause.prettyErrors(exit.cause)[0]?.message
}

/** What the keys of everything in the store were made of. */
const runKeys = ({ layout, keys, recorder }: Session): RunKeys =>
  Object.fromEntries(
    layout.plan.nodes.flatMap((node) => {
      const made = recorder.keysOf(node.id)
      return made.length === 0 ? [] : [[node.id, { parts: keys.nodeParts(node), keys: made }]]
    })
  )

const run = Effect.fnUntraced(function* <R>(plan: Plan, options: RunOptions) {
  const store = yield* ArtifactStore
  const events = yield* Progress
  const settings: Settings = { ...defaultSettings, ...options }
  const layout = yield* planLayout(plan)
  yield* ensureSpace({ store, settings }, wholeRun.node, 0)
  yield* lockPlan(store.root, plan.hash, options.wait ?? false)
  const sources = yield* openSources<R>(layout, settings)
  const artifacts = new Map<string, CommittedArtifact>()
  const keys = yield* keysOf<R>(layout, settings, sources, artifacts)
  const { start, before } = yield* startRun(store.root, plan.hash)
  if (before !== undefined) yield* storing(wholeRun)(sweepCheckpoints(store))
  const recorder = new Recorder(layout, keys, events, before, yield* Spans)
  // Only what runs a plan loads the workflow engine.
  const { durably, doTask } = yield* Effect.promise(() => import("./DurableRun.ts"))
  const session: Session = { layout, keys, store, settings, sources, artifacts, recorder, doTask }
  const write = Effect.fnUntraced(function* (status: RunRecord["status"], error?: string) {
    const record = yield* recordOf(session, start, status, error)
    yield* storing(wholeRun)(writeKeys(store.root, start.run, runKeys(session)))
    yield* storing(wholeRun)(writeRun(store.root, record))
    return record
  })
  yield* write("running")
  const stages = Effect.forEach(
    layout.stages,
    (stage) => Effect.andThen(runStage<R>(session, stage), write("running")),
    { discard: true }
  )
  const onBegin = (history: History): Effect.Effect<void> =>
    (before === undefined ? undefined : options.onResume?.(start.run, history)) ?? Effect.void
  const work = durably({ journal: yield* Journal, run: start.run, plan: plan.hash, onBegin }, stages)
  const counted = Effect.andThen(work, checkCounts(layout, recorder))
  return yield* Effect.andThen(counted, write("done")).pipe(
    Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Effect.ignore(write("failed", explain(exit)))))
  )
}, Effect.scoped)

/**
 * Runs a plan and gives its record, which is also in the store (`runs/<id>/run.json`). Interrupted or failed, everything that
 * was committed stays, and the next call goes on from there. Operators take what they need from `R`.
 */
export const runPlan = <R = never>(
  plan: Plan,
  options: RunOptions = {}
): Effect.Effect<RunRecord, NodeError, Exclude<R, Scope.Scope> | ArtifactStore | Files | Progress> =>
  run<R>(plan, options) as Effect.Effect<
    RunRecord,
    NodeError,
    Exclude<R, Scope.Scope> | ArtifactStore | Files | Progress
  >

/** Nodes that rejected more than their budget allows: the run is done, and the command line exits with 3. */
export const overBudget = (plan: Plan, record: RunRecord): ReadonlyArray<string> =>
  plan.nodes.flatMap(({ id, on_bad_row }) => {
    const { rows_in, rejected } = record.nodes[id]!
    return rejected > on_bad_row.budget * rows_in ? [id] : []
  })
