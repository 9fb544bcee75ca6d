/**
 * The command line: its commands, flags and help. Only this folder knows effect/cli.
 *
 * Rooms that are heavy to load (engine, images, tensors) come in with a command's own file, when it runs; so `--help` is quick.
 * Flags say how to run, never what: what is computed stands in the pipeline.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Argument, CliConfig, CliError, CliOutput, Command, Flag, GlobalFlag } from "effect/cli"
import { usage } from "../Failure.ts"
import { note, out } from "../Screen.ts"
import { version } from "../version.ts"
import { lazy, optional, pipeline, told } from "./Flags.ts"
import { caption, classify, exportCommand, score } from "./ModelCommands.ts"
import { check, init, plan, run } from "./PipelineCommands.ts"
import { compare, report, reproduce, storeCommand, why, whyRow } from "./RunCommands.ts"
import { unusedServices } from "./Services.ts"

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
  lazy(async () => (await import("../commands/Ops.ts")).ops)
).pipe(Command.withDescription("List the operators, or explain one"))

const schema = Command.make(
  "schema",
  { noConfig: pipeline.noConfig },
  lazy(async () => (await import("../commands/Ops.ts")).schema)
).pipe(Command.withDescription("Print the JSON Schema of pipelines, for editors"))

const engineCommand = Command.make("engine").pipe(
  Command.withDescription("What runs the tensors"),
  Command.withSubcommands([
    Command.make(
      "list",
      {},
      lazy(async () => (await import("../commands/Engine.ts")).list)
    ).pipe(Command.withDescription("List the engines")),
    Command.make(
      "install",
      {
        engine: Argument.Literals("engine", ["tensorflow"]).pipe(Argument.withDescription("tensorflow")),
        variant: optional(Flag.Literals("variant", ["cpu", "cuda"])).pipe(
          told("which build (default: cuda where there is an NVIDIA driver, else cpu)")
        )
      },
      lazy(async () => (await import("../commands/Engine.ts")).install)
    ).pipe(Command.withDescription("Install what an engine needs beyond npm, in the user's cache")),
    Command.make(
      "doctor",
      {},
      lazy(async () => (await import("../commands/Engine.ts")).doctor)
    ).pipe(Command.withDescription("Say for each engine whether it works here, and what is missing"))
  ])
)

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
      why,
      whyRow,
      reproduce,
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
    Effect.provide(Layer.mergeAll(unusedServices, presenter, builtIns))
  )
