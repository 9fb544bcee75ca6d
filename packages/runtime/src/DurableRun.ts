/**
 * Durable runs on effect/workflow, whose exports may change with a minor version: this is the one file that touches them.
 *
 * A run is one workflow, named by the run's id; a task is one activity. The engine below keeps both in the journal. It runs a
 * workflow in the process and fiber that execute it, so interrupting these interrupts the run. Executing it again, in this
 * process or another, replays it: an activity that is recorded as done gives its result, any other runs, once more if need be.
 * A failure is recorded for people, never replayed.
 *
 * What a replay takes for done must be in the artifact store as well: the store is the only truth.
 */
import { NodeError } from "@bootlace/graph"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { Scope } from "effect"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import { makeUnsafe, WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"
import type { Encoded } from "effect/workflow/WorkflowEngine"
import { unknown } from "./Journal.ts"
import type { Execution, History, JournalShape, TryEnd } from "./Journal.ts"

const RunPlan = Workflow.make("RunPlan", {
  payload: { run: Schema.String, plan: Schema.String },
  error: NodeError,
  idempotencyKey: ({ run }) => run
})

/** Nodes that an activity works for. */
const Nodes = Context.Reference<ReadonlyArray<string>>("@bootlace/runtime/Nodes", { defaultValue: () => [] })

type Result = Workflow.Result<unknown, unknown>

/** As people read it. What comes out of an activity is encoded. */
const messageOf = (cause: Cause.Cause<unknown>): string => {
  const failure = cause.reasons.find(Cause.isFailReason)
  const error = Option.flatMap(Option.fromUndefinedOr(failure), (reason) => decodeError(reason.error))
  return Option.isSome(error) ? error.value.message : Cause.pretty(cause)
}
const decodeError = Schema.decodeUnknownOption(Schema.toCodecJson(NodeError))

const statusOf = (exit: Exit.Exit<Result>): TryEnd => {
  const inner = Exit.isSuccess(exit) && exit.value._tag === "Complete" ? exit.value.exit : exit
  if (Exit.isSuccess(inner)) return { status: "done", result: inner.value as ReadonlyArray<string> }
  if (Cause.hasInterruptsOnly(inner.cause)) return { status: "interrupted" }
  return { status: "failed", error: messageOf(inner.cause) }
}

/** Runs of plans neither sleep for days nor wait for answers from outside. */
const unsupported = (what: string) => () => Effect.die(new Error(`the engine of runs has no ${what}`))

/** `onBegin` hears what is known of an execution before it goes on. */
const engineOver = (
  journal: JournalShape,
  onBegin: (history: History) => Effect.Effect<void>
): WorkflowEngine["Service"] => {
  const bodies = new Map<string, Parameters<Encoded["register"]>[1]>()
  const histories = new Map<string, History>()
  const execute = Effect.fnUntraced(function* (
    workflow: Workflow.Any,
    { executionId, payload }: { readonly executionId: string; readonly payload: object }
  ) {
    const history = yield* journal.begin({ id: executionId, ...(payload as Omit<Execution, "id">) })
    histories.set(executionId, history)
    yield* onBegin(history)
    return yield* bodies.get(workflow._tag)!(payload, executionId).pipe(
      Workflow.intoResult,
      Effect.provideService(WorkflowInstance, WorkflowInstance.initial(workflow, executionId)),
      Effect.provideService(WorkflowEngine, engine),
      Effect.onExit((exit) => {
        const end = statusOf(exit)
        return journal.end(executionId, end.status, end.status === "failed" ? end.error : undefined)
      })
    )
  })
  const activityExecute = Effect.fnUntraced(function* (activity: Activity.Any, attempt: number) {
    const { workflow, executionId } = yield* WorkflowInstance
    const recorded = (histories.get(executionId) ?? unknown).done.get(activity.name)
    if (recorded !== undefined && attempt === 1) return new Workflow.Complete({ exit: Exit.succeed(recorded.keys) })
    const end = yield* journal.startTry(executionId, activity.name, Context.get(activity.annotations, Nodes))
    return yield* (activity.executeEncoded as Effect.Effect<unknown, unknown, Scope.Scope | WorkflowInstance>).pipe(
      Workflow.intoResult,
      Effect.provideService(WorkflowInstance, WorkflowInstance.initial(workflow, executionId)),
      Effect.onExit((exit) => end(statusOf(exit)))
    )
  })
  const engine = makeUnsafe({
    register: (workflow, body) => Effect.sync(() => void bodies.set(workflow._tag, body)),
    execute: execute as Encoded["execute"],
    activityExecute,
    poll: unsupported("poll"),
    interrupt: unsupported("interrupt but that of its fiber"),
    interruptUnsafe: unsupported("interrupt but that of its fiber"),
    resume: unsupported("resume but executing again"),
    deferredResult: unsupported("deferreds"),
    deferredDone: unsupported("deferreds"),
    scheduleClock: unsupported("clocks")
  })
  return engine
}

/** Of siblings that one failure has interrupted only the failure counts: an activity takes an interruption for a reason to die. */
const failureFirst = <A, R>(work: Effect.Effect<A, NodeError, R>): Effect.Effect<A, NodeError, R> =>
  Effect.catchCause(work, (cause) => {
    const failure = cause.reasons.find(Cause.isFailReason)
    return failure === undefined ? Effect.failCause(cause) : Effect.fail(failure.error)
  })

export interface Task<R> {
  /** Alone in its run, and the same whenever the run is taken up. */
  readonly name: string
  readonly nodes: ReadonlyArray<string>
  /** Gives the keys of what is in the store then. Does nothing twice that the store has already. */
  readonly work: Effect.Effect<ReadonlyArray<string>, NodeError, R>
  /** Takes the result from the store; false where it isn't there. */
  readonly recall: Effect.Effect<boolean, NodeError>
}

/** Inside `durably`: does a task, or recalls what this run did before. */
export const doTask = <R>({ name, nodes, work, recall }: Task<R>): Effect.Effect<void, NodeError, R> =>
  Effect.gen(function* () {
    for (let attempt = 1; ; attempt++) {
      let isFresh = false
      const execute = Effect.suspend(() => {
        isFresh = true
        return failureFirst(work)
      })
      yield* Activity.make({
        name,
        success: Schema.Array(Schema.String),
        error: NodeError,
        execute,
        // Trying again is up to people.
        interruptRetryPolicy: Schedule.recurs(0),
        annotations: Context.make(Nodes, nodes)
      }).pipe(Effect.provideService(Activity.CurrentAttempt, attempt))
      if (isFresh || (yield* recall)) return
    }
  }) as Effect.Effect<void, NodeError, R>

export interface Durable {
  readonly journal: JournalShape
  readonly run: string
  readonly plan: string
  readonly onBegin: (history: History) => Effect.Effect<void>
}

/** Runs the body as the workflow of a run. */
export const durably = <R>(
  { journal, run, plan, onBegin }: Durable,
  body: Effect.Effect<void, NodeError, R>
): Effect.Effect<void, NodeError, R> => {
  const engine = engineOver(journal, onBegin)
  const whole = Effect.gen(function* () {
    yield* engine.register(RunPlan, () => body)
    yield* RunPlan.execute({ run, plan })
  })
  return whole.pipe(Effect.provideService(WorkflowEngine, engine), Effect.scoped) as Effect.Effect<void, NodeError, R>
}
