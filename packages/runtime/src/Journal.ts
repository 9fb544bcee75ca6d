/**
 * Journal: what has been begun, done and given up in a run, and when. It lets the next process go on with the same execution and
 * tell people about it. It is never needed: whether work is done, the artifact store knows.
 *
 * A try is one process working once at a fold, at a training, or at one shard with all nodes of a chain: at what the workflow calls
 * an activity. Several may be needed: the process was killed, an operator failed.
 */
import type { Files } from "@bootlace/data"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** A run, as the workflow engine knows it. */
export interface Execution {
  readonly id: string
  readonly run: string
  readonly plan: string
}

export type TryEnd =
  /** `result`: the keys of what the task has put into the store. */
  | { readonly status: "done"; readonly result: ReadonlyArray<string> }
  | { readonly status: "failed"; readonly error: string }
  | { readonly status: "interrupted" }

/** What is to be done again, and how often it was tried. */
export interface OpenTask {
  readonly task: string
  readonly nodes: ReadonlyArray<string>
  /** How the last try ended. */
  readonly status: "failed" | "interrupted"
  readonly tries: number
}

export interface DoneTask {
  readonly nodes: ReadonlyArray<string>
  /** Of what it has put into the store. */
  readonly keys: ReadonlyArray<string>
}

/** What is known of an execution when a process takes it up. */
export interface History {
  /** How many processes have worked at the run, this one included. */
  readonly attempt: number
  /** By activity. */
  readonly done: ReadonlyMap<string, DoneTask>
  readonly open: ReadonlyArray<OpenTask>
}

export interface JournalShape {
  /** Only the holder of the plan's lock may begin: what nobody has ended was lost with its process. */
  readonly begin: (execution: Execution) => Effect.Effect<History>
  readonly end: (execution: string, end: TryEnd["status"], error?: string) => Effect.Effect<void>
  /** What it gives is to be told how the try ended. */
  readonly startTry: (
    execution: string,
    task: string,
    nodes: ReadonlyArray<string>
  ) => Effect.Effect<(end: TryEnd) => Effect.Effect<void>>
}

/** Of an execution that nobody has heard of. */
export const unknown: History = { attempt: 1, done: new Map(), open: [] }

export const forgetful: JournalShape = {
  begin: () => Effect.succeed(unknown),
  end: () => Effect.void,
  startTry: () => Effect.succeed(() => Effect.void)
}

/** Without a layer for it nothing is written down. */
export const Journal = Context.Reference<JournalShape>("@bootlace/runtime/Journal", { defaultValue: () => forgetful })

/** SQLite is loaded by those who ask for it. */
const sqlite = Effect.promise(() => import("./SqliteJournal.ts"))

/** The journal that a store keeps in its folder, which must be there. */
export const storeJournal = (root: string): Layer.Layer<never, never, Files> =>
  Layer.unwrap(Effect.map(sqlite, ({ sqliteJournal }) => sqliteJournal(root)))

/** A try, as it is written down. */
export interface Try {
  readonly task: string
  /** `started`: at work now, or its process was killed. */
  readonly status: TryEnd["status"] | "started"
  /** ISO 8601 in UTC. */
  readonly started: string
  readonly error?: string
}

/** How often a run worked at the tasks of a node; nothing where the store has no journal of it. */
export const readTries = (root: string, run: string, node: string): Effect.Effect<ReadonlyArray<Try>> =>
  Effect.flatMap(sqlite, ({ triesOf }) => triesOf(root, run, node))
