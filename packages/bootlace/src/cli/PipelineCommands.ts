/** Commands about a pipeline file: make one, check it, plan it, run it. */
import * as Effect from "effect/Effect"
import { Argument, Command, Flag } from "effect/cli"
import { commandLine } from "../Typed.ts"
import { engine, json, lazy, optional, pipeline, precision, store, threads, told, yes } from "./Flags.ts"

export const init = Command.make(
  "init",
  {
    folder: Argument.String("folder").pipe(Argument.withDefault("."), Argument.withDescription("where (default: here)"))
  },
  lazy(async () => (await import("../commands/Init.ts")).init)
).pipe(Command.withDescription("Start a project: a small pipeline over a folder of images and captions"))

export const check = Command.make(
  "check",
  pipeline,
  lazy(async () => (await import("../commands/Check.ts")).check)
).pipe(Command.withDescription("Check a pipeline: every mistake with its place; touches no model and no data"))

export const plan = Command.make(
  "plan",
  {
    ...pipeline,
    store,
    engine,
    precision,
    threads,
    expand: yes("expand", "print the nodes that shorthands stand for"),
    json
  },
  lazy(async () => (await import("../commands/Plan.ts")).plan)
).pipe(Command.withDescription("Say per node whether it is cached or will run, and why"))

export const run = (args: ReadonlyArray<string>) =>
  Command.make(
    "run",
    {
      ...pipeline,
      threads,
      engine,
      precision,
      store,
      json,
      events: optional(Flag.String("events")).pipe(
        Flag.withMetavar("file"),
        told("write progress as one JSON object a line")
      ),
      report: optional(Flag.String("report")).pipe(
        Flag.withMetavar("file"),
        told("where the report goes (default: in the store)")
      ),
      profile: yes("profile", "print where the time went, and write a trace beside the run's record")
    },
    (options) =>
      Effect.flatMap(
        Effect.promise(async () => (await import("../commands/Run.ts")).run),
        (handler) => handler({ ...options, command: commandLine(args) })
      )
  ).pipe(Command.withDescription("Run a pipeline; goes on by itself where an earlier run stopped"))
