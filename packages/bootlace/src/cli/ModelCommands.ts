/** Commands about a trained model: try it on an image, hand it on. */
import { Argument, Command, Flag } from "effect/cli"
import { engine, json, lazy, optional, pipeline, store, told, yes } from "./Flags.ts"

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
export const caption = Command.make(
  "caption",
  tried,
  lazy(async () => (await import("../commands/Try.ts")).caption)
).pipe(Command.withDescription("Caption an image with a model that was trained"))
export const classify = Command.make(
  "classify",
  { ...tried, labels: Flag.String("labels").pipe(Flag.withMetavar("a,b,c"), told("the classes, separated by commas")) },
  lazy(async () => (await import("../commands/Try.ts")).classify)
).pipe(Command.withDescription("Classify an image among labels, zero-shot"))
export const score = Command.make(
  "score",
  { ...tried, text: Flag.String("text").pipe(told("the text to compare with the image")) },
  lazy(async () => (await import("../commands/Try.ts")).score)
).pipe(Command.withDescription("Score how well a text fits an image"))

export const exportCommand = Command.make(
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
    onnx: yes("onnx", "also write onnx/, float32, which transformers.js and ONNX Runtime run"),
    store,
    noConfig: pipeline.noConfig
  },
  lazy(async () => (await import("../commands/Export.ts")).exportModel)
).pipe(Command.withDescription("Write a trained model as a folder that Hugging Face transformers opens"))
