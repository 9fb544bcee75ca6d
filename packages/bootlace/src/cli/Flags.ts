/** What the commands share: flags with the same name say the same everywhere. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Argument, Flag } from "effect/cli"

export const optional = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  Flag.map(Flag.optional(flag), Option.getOrUndefined)
export const told =
  (text: string) =>
  <A>(flag: Flag.Flag<A>): Flag.Flag<A> =>
    Flag.withDescription(flag, text)
export const wholeFrom = (name: string, least: number): Flag.Flag<number> =>
  Flag.filter(
    Flag.Int(name),
    (value) => value >= least,
    (value) => `expected a whole number from ${least} on, got ${value}`
  )
export const yes = (name: string, text: string) =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDefault(false), told(text))

export const file = Argument.String("file").pipe(Argument.withDescription("pipeline, a YAML file"))
export const store = Flag.String("store").pipe(
  Flag.withDefault(".bootlace"),
  told("folder of the artifacts (default .bootlace)")
)
export const engine = Flag.Literals("engine", ["onnx", "tensorflow", "webgpu", "eager"]).pipe(
  Flag.withDefault("onnx" as const),
  told("what runs tensors (default onnx)")
)
export const precision = Flag.Literals("precision", ["fp32", "bf16", "int8"]).pipe(
  Flag.withDefault("fp32" as const),
  told("of matrix products (default fp32); bf16 with tensorflow; int8 with onnx, where nothing is trained")
)
export const threads = optional(wholeFrom("threads", 1)).pipe(
  told("threads of the engine; part of what makes results equal bit by bit")
)
export const json = yes("json", "print one JSON object instead of text")
export const pipeline = {
  file,
  set: Flag.String("set").pipe(
    Flag.withMetavar("name=value"),
    Flag.atLeast(0),
    told("set a param or matrix axis; can stand several times")
  ),
  only: Flag.String("only").pipe(
    Flag.withMetavar("node"),
    Flag.atLeast(0),
    told("just this node and what it reads; can stand several times")
  ),
  seed: optional(wholeFrom("seed", 0)).pipe(told("seed instead of the pipeline's own")),
  noConfig: yes("no-config", "refuse bootlace.config.ts, which is code")
}

/** Loads a command's file when it runs. */
export const lazy =
  <Input, E>(load: () => Promise<(input: Input) => Effect.Effect<void, E>>) =>
  (input: Input): Effect.Effect<void, E> =>
    Effect.flatMap(Effect.promise(load), (handler) => handler(input))
