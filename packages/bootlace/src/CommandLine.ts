/**
 * The command line: its commands, flags and help. The only file that knows effect/cli.
 *
 * Rooms that are heavy to load (engine, images, tensors) come in with a command's own file, when it runs; so `--help` is quick.
 * Flags say how to run, never what: what is computed stands in the pipeline.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Argument, CliConfig, CliError, CliOutput, Command, Flag, GlobalFlag } from "effect/cli"
import { commandLine, usage } from "./Failure.ts"
import { note, out } from "./Screen.ts"
import { version } from "./version.ts"

const optional = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  Flag.map(Flag.optional(flag), Option.getOrUndefined)
const told =
  (text: string) =>
  <A>(flag: Flag.Flag<A>): Flag.Flag<A> =>
    Flag.withDescription(flag, text)
const wholeFrom = (name: string, least: number): Flag.Flag<number> =>
  Flag.filter(
    Flag.Int(name),
    (value) => value >= least,
    (value) => `expected a whole number from ${least} on, got ${value}`
  )
const yes = (name: string, text: string) =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDefault(false), told(text))

const file = Argument.String("file").pipe(Argument.withDescription("pipeline, a YAML file"))
const store = Flag.String("store").pipe(
  Flag.withDefault(".bootlace"),
  told("folder of the artifacts (default .bootlace)")
)
const engine = Flag.Literals("engine", ["onnx", "eager"]).pipe(
  Flag.withDefault("onnx" as const),
  told("what runs tensors (default onnx)")
)
const threads = optional(wholeFrom("threads", 1)).pipe(
  told("threads of the engine; part of what makes results equal bit by bit")
)
const json = yes("json", "print one JSON object instead of text")
const pipeline = {
  file,
  set: Flag.String("set").pipe(
    Flag.withMetavar("name=value"),
    Flag.atLeast(0),
    told("set a param or matrix axis; can stand several times")
  ),
  seed: optional(wholeFrom("seed", 0)).pipe(told("seed instead of the pipeline's own")),
  noConfig: yes("no-config", "refuse bootlace.config.ts, which is code")
}

/** Loads a command's file when it runs. */
const lazy =
  <Input, E>(load: () => Promise<(input: Input) => Effect.Effect<void, E>>) =>
  (input: Input): Effect.Effect<void, E> =>
    Effect.flatMap(Effect.promise(load), (handler) => handler(input))

const init = Command.make(
  "init",
  {
    folder: Argument.String("folder").pipe(Argument.withDefault("."), Argument.withDescription("where (default: here)"))
  },
  lazy(async () => (await import("./commands/Init.ts")).init)
).pipe(Command.withDescription("Start a project: a small pipeline over a folder of images and captions"))

const check = Command.make(
  "check",
  pipeline,
  lazy(async () => (await import("./commands/Check.ts")).check)
).pipe(Command.withDescription("Check a pipeline: every mistake with its place; touches no model and no data"))

const plan = Command.make(
  "plan",
  { ...pipeline, store, engine, threads, expand: yes("expand", "print the nodes that shorthands stand for"), json },
  lazy(async () => (await import("./commands/Plan.ts")).plan)
).pipe(Command.withDescription("Say per node whether it is cached or will run, and why"))

const run = (args: ReadonlyArray<string>) =>
  Command.make(
    "run",
    {
      ...pipeline,
      threads,
      engine,
      store,
      json,
      events: optional(Flag.String("events")).pipe(
        Flag.withMetavar("file"),
        told("write progress as one JSON object a line")
      ),
      report: optional(Flag.String("report")).pipe(
        Flag.withMetavar("file"),
        told("where the report goes (default: in the store)")
      )
    },
    (options) =>
      Effect.flatMap(
        Effect.promise(async () => (await import("./commands/Run.ts")).run),
        (handler) => handler({ ...options, command: commandLine(args) })
      )
  ).pipe(Command.withDescription("Run a pipeline; goes on by itself where an earlier run stopped"))

const report = Command.make(
  "report",
  {
    run: Argument.String("run").pipe(Argument.withDescription("a run's id, its beginning, or `latest`")),
    store,
    noConfig: pipeline.noConfig,
    out: optional(Flag.String("out")).pipe(
      Flag.withMetavar("file"),
      told("where the page goes (default: in the store)")
    )
  },
  lazy(async () => (await import("./commands/Report.ts")).report)
).pipe(Command.withDescription("Write the report of a run: one HTML file"))

const runArgument = (name: string, text: string) => Argument.String(name).pipe(Argument.withDescription(text))

const compare = Command.make(
  "compare",
  {
    a: runArgument("a", "a run's id, its beginning, or `latest`"),
    b: runArgument("b", "the run to compare it with"),
    store,
    json
  },
  lazy(async () => (await import("./commands/Compare.ts")).compare)
).pipe(Command.withDescription("Compare two runs: rows added and removed, metrics against the spread over seeds"))

const whyRow = Command.make(
  "why-row",
  {
    id: Argument.String("row").pipe(
      Argument.withDescription("a row's id, or the first four or more of its hex digits")
    ),
    run: Flag.String("run").pipe(Flag.withDefault("latest"), told("a run's id, its beginning, or `latest` (default)")),
    store,
    json
  },
  lazy(async () => (await import("./commands/WhyRow.ts")).whyRow)
).pipe(Command.withDescription("Follow a row through a run: its values, where it was kept or dropped, and why"))

const storeCommand = Command.make("store").pipe(
  Command.withDescription("Look after the artifacts"),
  Command.withSubcommands([
    Command.make(
      "list",
      { store, json },
      lazy(async () => (await import("./commands/Store.ts")).list)
    ).pipe(Command.withDescription("List runs and artifacts with their sizes")),
    Command.make(
      "gc",
      {
        store,
        keep: optional(wholeFrom("keep", 0)).pipe(told("forget all but this many of the latest runs first")),
        dryRun: yes("dry-run", "only say what would go")
      },
      lazy(async () => (await import("./commands/Store.ts")).gc)
    ).pipe(Command.withDescription("Remove artifacts that none of the latest runs uses"))
  ])
)

const ops = Command.make(
  "ops",
  {
    name: Argument.String("name").pipe(
      Argument.optional,
      Argument.map(Option.getOrUndefined),
      Argument.withDescription("an operator: show its ports and config")
    ),
    noConfig: pipeline.noConfig
  },
  lazy(async () => (await import("./commands/Ops.ts")).ops)
).pipe(Command.withDescription("List the operators, or explain one"))

const schema = Command.make(
  "schema",
  { noConfig: pipeline.noConfig },
  lazy(async () => (await import("./commands/Ops.ts")).schema)
).pipe(Command.withDescription("Print the JSON Schema of pipelines, for editors"))

const engineCommand = Command.make("engine").pipe(
  Command.withDescription("What runs the tensors"),
  Command.withSubcommands([
    Command.make(
      "list",
      {},
      lazy(async () => (await import("./commands/Engine.ts")).list)
    ).pipe(Command.withDescription("List the engines")),
    Command.make(
      "doctor",
      {},
      lazy(async () => (await import("./commands/Engine.ts")).doctor)
    ).pipe(Command.withDescription("Say for each engine whether it works here, and what is missing"))
  ])
)

const tried = {
  image: Argument.String("image").pipe(Argument.withDescription("an image file")),
  model: Flag.String("model").pipe(
    Flag.withMetavar("run:node"),
    told("a trained model: a run and the node that made it, e.g. latest:captioner")
  ),
  store,
  engine,
  json
}
const caption = Command.make(
  "caption",
  tried,
  lazy(async () => (await import("./commands/Try.ts")).caption)
).pipe(Command.withDescription("Caption an image with a model that was trained"))
const classify = Command.make(
  "classify",
  { ...tried, labels: Flag.String("labels").pipe(Flag.withMetavar("a,b,c"), told("the classes, separated by commas")) },
  lazy(async () => (await import("./commands/Try.ts")).classify)
).pipe(Command.withDescription("Classify an image among labels, zero-shot"))
const score = Command.make(
  "score",
  { ...tried, text: Flag.String("text").pipe(told("the text to compare with the image")) },
  lazy(async () => (await import("./commands/Try.ts")).score)
).pipe(Command.withDescription("Score how well a text fits an image"))

const exportCommand = Command.make(
  "export",
  {
    model: Argument.String("run:node").pipe(
      Argument.withDescription("a trained model: a run and the node that made it, e.g. latest:captioner; or its folder")
    ),
    to: Flag.String("to").pipe(Flag.withMetavar("folder"), told("the folder to make")),
    as: optional(Flag.String("as")).pipe(
      Flag.withMetavar("class"),
      told("transformers' class: a BLIP model fits BlipForConditionalGeneration and BlipForImageTextRetrieval")
    ),
    dtype: Flag.Literals("dtype", ["float32", "float16", "bfloat16"]).pipe(
      Flag.withDefault("float32" as const),
      told("of the stored weights (default float32, bit by bit)")
    ),
    store,
    noConfig: pipeline.noConfig
  },
  lazy(async () => (await import("./commands/Export.ts")).exportModel)
).pipe(Command.withDescription("Write a trained model as a folder that Hugging Face transformers opens"))

const root = (args: ReadonlyArray<string>) =>
  Command.make("bootlace").pipe(
    Command.withDescription("Vision-language pipelines: CLIP, BLIP and CapFilt"),
    Command.withSubcommands([
      init,
      check,
      plan,
      run(args),
      report,
      compare,
      whyRow,
      storeCommand,
      ops,
      schema,
      engineCommand,
      caption,
      classify,
      score,
      exportCommand
    ])
  )

/** Help that was asked for is a result; a wrong invocation is one line on stderr and where help is. */
const presenter = CliOutput.layerPresenter({
  present: (event) => {
    const formatter = CliOutput.defaultFormatter({ colors: false, globalFlags: "summary" })
    switch (event._tag) {
      case "Help":
        return out(formatter.formatHelpDoc(event.helpDoc))
      case "Version":
        return out(event.version)
      case "InvalidInvocation": {
        const said = event.errors.map((error) => `error: ${error.message.replaceAll(/\n\s*\n/g, "\n")}`)
        return note([...said, `hint: ${event.commandPath.join(" ")} --help`].join("\n"))
      }
    }
  }
})

const builtIns = CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })

/** A wrong invocation has been explained by the presenter already. */
const explained = (error: unknown): Effect.Effect<void, unknown> => {
  if (!CliError.isCliError(error) || error._tag !== "ShowHelp") return Effect.fail(error)
  return error.errors.length === 0 ? Effect.void : Effect.fail(usage(""))
}

/** Parses and runs. Fails with what `exitCodeOf` understands. */
export const runCommandLine = (args: ReadonlyArray<string>): Effect.Effect<void, unknown> =>
  Command.runWith(root(args), { version })(args).pipe(
    Effect.catch(explained),
    Effect.provide(Layer.mergeAll(NodeServices.layer, presenter, builtIns))
  )
