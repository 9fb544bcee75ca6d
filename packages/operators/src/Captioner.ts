/**
 * Captioner: one caption per image, by the image-grounded decoder.
 *
 *   image    struct<bytes, path>
 *   caption  utf8, lower-case words as the vocabulary spells them; a row whose caption has no word is rejected
 *
 * Greedy, beam search, or nucleus sampling, whose random numbers are keyed by (seed, node, row id, position, attempt): a caption doesn't
 * depend on the rows beside it. Keys and values of images and earlier tokens stay in the engine; images whose captions have ended leave.
 * Li et al. 2022, section 3.3.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { prompt } from "./tensor/PromptConfig.ts"
import { batchSize, deferredMap } from "./tensor/tensorMap.ts"

const Decode = Schema.Struct({
  method: Schema.Literals(["greedy", "nucleus", "beam"])
    .annotate({
      description: "the likeliest token, a draw from the likeliest ones, or the likeliest captions of several"
    })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed("greedy" as const))),
  top_p: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1))
    .annotate({ description: "nucleus: share of the probability that is drawn from" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(0.9))),
  temperature: Schema.Finite.check(Schema.isGreaterThan(0))
    .annotate({ description: "nucleus: divides the logits" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(1))),
  num_beams: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 64 }))
    .annotate({ description: "beam: beginnings kept" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(3))),
  repetition_penalty: Schema.optionalKey(
    Schema.Finite.check(Schema.isGreaterThan(0)).annotate({
      description: "above 1: tokens that are there already get less likely; default 1.1 for nucleus, else 1"
    })
  ),
  max_length: Schema.optionalKey(
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(3)).annotate({
      description: "tokens at most, [DEC], the prompt and [SEP] included; default 20, or what the model can hold"
    })
  ),
  min_length: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
    .annotate({ description: "tokens at least before [SEP], [DEC] and the prompt included" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(2)))
})
export type Decode = typeof Decode.Type
const defaults: Decode = { method: "greedy", top_p: 0.9, temperature: 1, num_beams: 3, min_length: 2 }

const config = Schema.Struct({
  batch_size: batchSize,
  prompt,
  decode: Decode.pipe(Schema.withDecodingDefaultKey(Effect.succeed({ ...defaults })))
})
export type Config = typeof config.Type

export const Captioner = deferredMap({
  name: "Captioner",
  version: 7,
  description: "Writes a caption for each image.",
  config,
  model: ["blip"],
  random: true,
  inputs: { image: "image" },
  outputs: { caption: "text" },
  looks: true,
  programs: () => import("./bodies/Captioner.ts")
})
