/** Commands about what runs left: their reports, rows and artifacts. */
import { Argument, Command, Flag } from "effect/cli"
import { json, lazy, optional, pipeline, store, told, wholeFrom, yes } from "./Flags.ts"

const runArgument = (name: string, text: string) => Argument.String(name).pipe(Argument.withDescription(text))
const anyRun = "a run's id, its beginning, or `latest`"

export const report = Command.make(
  "report",
  {
    run: runArgument("run", anyRun),
    store,
    noConfig: pipeline.noConfig,
    out: optional(Flag.String("out")).pipe(
      Flag.withMetavar("file"),
      told("where the page goes (default: in the store)")
    )
  },
  lazy(async () => (await import("../commands/Report.ts")).report)
).pipe(Command.withDescription("Write the report of a run: one HTML file"))

export const compare = Command.make(
  "compare",
  {
    a: runArgument("a", anyRun),
    b: runArgument("b", "the run to compare it with"),
    store,
    json
  },
  lazy(async () => (await import("../commands/Compare.ts")).compare)
).pipe(Command.withDescription("Compare two runs: rows added and removed, metrics against the spread over seeds"))

const ofRun = Flag.String("run").pipe(Flag.withDefault("latest"), told(`${anyRun} (default)`))

export const why = Command.make(
  "why",
  {
    node: Argument.String("node").pipe(Argument.withDescription("a node's id, with its place in a matrix")),
    run: ofRun,
    store,
    json
  },
  lazy(async () => (await import("../commands/Why.ts")).why)
).pipe(Command.withDescription("Say whether a node was computed or found in the store, and what its result hung on"))

export const whyRow = Command.make(
  "why-row",
  {
    id: Argument.String("row").pipe(
      Argument.withDescription("a row's id, or the first four or more of its hex digits")
    ),
    run: ofRun,
    store,
    noConfig: pipeline.noConfig,
    json
  },
  lazy(async () => (await import("../commands/WhyRow.ts")).whyRow)
).pipe(Command.withDescription("Follow a row through a run: its values, where it was kept or dropped, and why"))

export const reproduce = Command.make(
  "reproduce",
  {
    lock: Argument.String("run.lock").pipe(
      Argument.withDescription("a finished run's lock, from its folder in the store")
    ),
    store: Flag.String("store").pipe(
      Flag.withDefault(".bootlace-reproduced"),
      told("a folder that isn't there yet (default .bootlace-reproduced)")
    ),
    noConfig: pipeline.noConfig,
    json
  },
  lazy(async () => (await import("../commands/Reproduce.ts")).reproduce)
).pipe(Command.withDescription("Run a finished run again from nothing and compare its bytes, node by node"))

export const storeCommand = Command.make("store").pipe(
  Command.withDescription("Look after the artifacts"),
  Command.withSubcommands([
    Command.make(
      "list",
      { store, json },
      lazy(async () => (await import("../commands/Store.ts")).list)
    ).pipe(Command.withDescription("List runs and artifacts with their sizes")),
    Command.make(
      "gc",
      {
        store,
        keep: optional(wholeFrom("keep", 0)).pipe(told("forget all but this many of the latest runs first")),
        dryRun: yes("dry-run", "only say what would go")
      },
      lazy(async () => (await import("../commands/Store.ts")).gc)
    ).pipe(Command.withDescription("Remove artifacts that none of the latest runs uses"))
  ])
)
