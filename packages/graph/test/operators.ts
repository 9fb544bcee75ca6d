/** Small operators of every kind for the tests of this package: contracts only, nothing here ever runs. */
import { Effect, Schema } from "effect"
import { type NodeSpec, Operator } from "../src/index.ts"

const unopened = { open: () => Effect.die("these operators are never opened") }
const described = <S extends Schema.Top>(schema: S, description: string) => schema.annotate({ description })
const withDefault = <S extends Schema.Constraint>(schema: S, value: S["Encoded"]) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(value))(schema)

export const ReadPairs = Operator.source({
  name: "ReadPairs",
  version: 1,
  description: "Reads a folder of images and texts.",
  config: Schema.Struct({
    path: described(Schema.String, "a folder, from the pipeline file's folder"),
    columns: withDefault(Schema.Record(Schema.String, Schema.Literals(["text", "label", "flag"])), {})
  }),
  inputs: {},
  ports: { pairs: { image: "image", text: "text" } },
  portsFor: ({ columns }) => ({ pairs: columns }),
  body: unopened
})

export const BuildVocabulary = Operator.fold({
  name: "BuildVocabulary",
  version: 1,
  description: "Builds a WordPiece vocabulary.",
  config: Schema.Struct({
    size: withDefault(
      described(Schema.Int.check(Schema.isBetween({ minimum: 10, maximum: 100_000 })), "tokens at most"),
      4000
    )
  }),
  inputs: { text: { column: "text", many: true } },
  outputs: { vocabulary: "vocabulary" },
  body: unopened
})

export const InitModel = Operator.fold({
  name: "InitModel",
  version: 1,
  description: "A model with random weights.",
  config: Schema.Struct({
    architecture: Schema.Literals(["clip", "blip"]),
    preset: described(Schema.String, "a named size")
  }),
  inputs: { vocabulary: { artifact: "vocabulary", optional: true } },
  outputs: { model: "model" },
  random: true,
  body: unopened
})

export const ImageEncoder = Operator.map({
  name: "ImageEncoder",
  version: 1,
  description: "One embedding, and the tokens behind it, per image.",
  config: Schema.Struct({ normalize: withDefault(Schema.Boolean, true) }),
  model: ["clip", "blip"],
  tensor: true,
  inputs: { image: "image" },
  outputs: { image_embeds: "embedding", image_tokens: "image_tokens" },
  training: { inputs: { image: "image" }, outputs: { image_embeds: "embedding", image_tokens: "image_tokens" } },
  body: unopened
})

export const TextEncoder = Operator.map({
  name: "TextEncoder",
  version: 2,
  description: "One embedding per text.",
  config: Schema.Struct({}),
  model: ["clip", "blip"],
  tensor: true,
  inputs: { text: "text" },
  outputs: { text_embeds: "embedding" },
  training: { inputs: { text: "text" }, outputs: { text_embeds: "embedding" } },
  body: unopened
})

export const ITC = Operator.map({
  name: "ITC",
  version: 1,
  description: "How near an image and a text are.",
  config: Schema.Struct({ alpha: withDefault(Schema.Finite, 0) }),
  inputs: { image_embeds: "embedding", text_embeds: "embedding" },
  outputs: { itc_score: "score" },
  training: {
    inputs: { image_embeds: "embedding", text_embeds: "embedding" },
    outputs: { itc_loss: "loss", similarity: "similarity" }
  },
  body: unopened
})

export const ITM = Operator.map({
  name: "ITM",
  version: 1,
  description: "Whether an image and a text match.",
  config: Schema.Struct({ negatives: withDefault(Schema.Literals(["hard", "random"]), "hard") }),
  model: ["blip"],
  inputs: { image_tokens: "image_tokens", text: "text" },
  outputs: { match_probability: "score" },
  training: {
    inputs: { image_tokens: "image_tokens", text: "text", similarity: { column: "similarity", optional: true } },
    outputs: { itm_loss: "loss" }
  },
  body: unopened
})

export const Captioner = Operator.expand({
  name: "Captioner",
  version: 1,
  description: "Captions of an image.",
  config: Schema.Struct({
    decode: withDefault(
      Schema.Union([
        Schema.Struct({ method: Schema.Literal("greedy") }),
        Schema.Struct({
          method: Schema.Literal("nucleus"),
          top_p: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
        })
      ]),
      { method: "greedy" }
    ),
    n: withDefault(Schema.Int, 1)
  }),
  model: ["blip"],
  random: true,
  inputs: { image: "image" },
  outputs: { caption: "text" },
  body: unopened
})

const Bound = Schema.Struct({ at_least: Schema.optionalKey(Schema.Finite), top: Schema.optionalKey(Schema.Finite) })

const filterRewrite = (node: NodeSpec) => {
  const { model, image, text, ...rest } = node.in
  return model === undefined || image === undefined || text === undefined
    ? undefined
    : {
        nodes: {
          encode: { op: "ImageEncoder", in: { image, model }, config: {} },
          itm: { op: "ITM", in: { image_tokens: "encode.image_tokens", text, model }, config: {} },
          decide: {
            op: "Filter",
            in: { image, text, match_probability: "itm.match_probability", ...rest },
            config: node.config
          }
        },
        as: "decide"
      }
}

export const Filter = Operator.route({
  name: "Filter",
  version: 1,
  description: "Keeps rows by their scores.",
  config: Schema.Struct({ keep: described(Schema.Record(Schema.String, Bound), "bounds by column") }),
  model: ["blip"],
  openInputs: true,
  inputs: { model: { artifact: "model", optional: true }, threshold: { artifact: "threshold", optional: true } },
  ports: ["kept", "rejected"],
  check: ({ keep }, wired) =>
    Object.keys(keep).flatMap((name) => {
      const known = Object.keys(wired).filter((input) => wired[input] === "score")
      return known.includes(name)
        ? []
        : [{ path: ["keep", name], message: `no score of this name is wired: ${known.join(", ") || "none"}`, known }]
    }),
  rewrite: filterRewrite,
  body: unopened
})

export const Quantile = Operator.fold({
  name: "Quantile",
  version: 1,
  description: "A threshold that a share of the rows passes.",
  config: Schema.Struct({ top: Schema.Finite }),
  inputs: { score: "score" },
  outputs: { threshold: "threshold" },
  body: unopened
})

export const Union = Operator.union({
  name: "Union",
  version: 1,
  description: "Rows of several streams, one after the other.",
  config: Schema.Struct({}),
  inputs: { rows: { stream: {}, many: true } }
})

export const RetrievalRecall = Operator.fold({
  name: "RetrievalRecall",
  version: 1,
  description: "Recall of images by text and texts by image.",
  config: Schema.Struct({ at: withDefault(Schema.Array(Schema.Int), [1, 5, 10]) }),
  inputs: { image_embeds: "embedding", text_embeds: "embedding" },
  outputs: { metrics: "metrics" },
  body: unopened
})

const objectives: Readonly<Record<string, Readonly<Record<string, NodeSpec>>>> = {
  itc: { itc: { op: "ITC", in: { image_embeds: "image.image_embeds", text_embeds: "text.text_embeds" }, config: {} } },
  itm: { itm: { op: "ITM", in: { image_tokens: "image.image_tokens", text: "pairs.text" }, config: {} } }
}

const trainRewrite = (node: NodeSpec) => {
  const { objectives: named, ...config } = node.config
  if (!Array.isArray(named) || node.graph !== undefined) return undefined
  const encoders: Readonly<Record<string, NodeSpec>> = {
    image: { op: "ImageEncoder", in: { image: "pairs.image" }, config: {} },
    text: { op: "TextEncoder", in: { text: "pairs.text" }, config: {} }
  }
  const graph = Object.assign({}, encoders, ...named.map((name: string) => objectives[name]))
  return { nodes: { train: { ...node, config, graph } }, as: "train" }
}

export const Train = Operator.train({
  name: "Train",
  version: 1,
  description: "Trains a model.",
  config: Schema.Struct({
    steps: described(Schema.Int.check(Schema.isGreaterThan(0)), "optimiser steps"),
    learning_rate: withDefault(Schema.Finite, 0.001),
    objectives: Schema.optionalKey(Schema.Array(Schema.Literals(["itc", "itm"])))
  }),
  inputs: { pairs: { stream: { image: "image", text: "text" }, many: true } },
  outputs: { model: "model" },
  random: true,
  rewrite: trainRewrite,
  body: { ...unopened, checkpointEvery: () => 100 }
})

export const operators = {
  ReadPairs,
  BuildVocabulary,
  InitModel,
  ImageEncoder,
  TextEncoder,
  ITC,
  ITM,
  Captioner,
  Filter,
  Quantile,
  Union,
  RetrievalRecall,
  Train
}
