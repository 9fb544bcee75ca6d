/**
 * Captioner: one caption per image, by the image-grounded decoder.
 *
 *   image    struct<bytes, path>
 *   caption  utf8, lower-case words as the vocabulary spells them; a row whose caption has no word is rejected
 *
 * Greedy, beam search, or nucleus sampling, whose random numbers are keyed by (seed, node, row id, position): a caption doesn't
 * depend on the rows beside it. Keys and values of earlier tokens are kept, not computed again. Li et al. 2022, section 3.3.
 */
import { decoding, randomKey } from "@bootlace/models"
import type { BlipModel, GenerateOptions, HostArray, Method, StepOutputs, Tokenizer } from "@bootlace/models"
import type { Program } from "@bootlace/engine"
import { Effect, Schema } from "effect"
import { decodingStep, stepTensors } from "./tensor/DecodingStep.ts"
import { batchSize, drivenMap } from "./tensor/tensorMap.ts"
import type { DriveContext } from "./tensor/tensorMap.ts"

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
      description: "tokens at most, [DEC] and [SEP] included; default 20, or what the model can hold"
    })
  ),
  min_length: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
    .annotate({ description: "tokens at least before [SEP], [DEC] included" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(2)))
})
type Decode = typeof Decode.Type
const defaults: Decode = { method: "greedy", top_p: 0.9, temperature: 1, num_beams: 3, min_length: 2 }

/** Pixels to what every step attends to: cross-attention's keys and values, [L, B, H, N, D/H] each. */
const look =
  (model: BlipModel): Program["run"] =>
  (weights, { image }) =>
    model.crossCache(weights, model.encodeImage(weights, image!).image_tokens)

const methodOf = ({ method, top_p, temperature, num_beams }: Decode): Method => {
  switch (method) {
    case "greedy":
      return { method }
    case "nucleus":
      return { method, top_p, temperature }
    case "beam":
      return { method, num_beams }
  }
}

const optionsOf = (decode: Decode, model: BlipModel, tokenizer: Tokenizer) => {
  const { repetition_penalty, min_length } = decode
  return {
    prompt_ids: [tokenizer.dec],
    method: methodOf(decode),
    repetition_penalty: repetition_penalty ?? (decode.method === "nucleus" ? 1.1 : 1),
    max_length: Math.min(decode.max_length ?? 20, model.max_text_length),
    min_length,
    end: tokenizer.end,
    pad: tokenizer.pad
  } satisfies Partial<GenerateOptions>
}

/** Drives the decoding of one micro-batch by a program. */
const captionsOf = Effect.fnUntraced(function* (options: GenerateOptions, context: DriveContext, program: Program) {
  const steps = decoding(options)
  let at = steps.next()
  while (at.done !== true) {
    const outputs = yield* context.run(program, stepTensors(at.value))
    const dataOf = (name: keyof StepOutputs) => outputs[name]!.data as Float32Array
    at = steps.next({ logits: dataOf("logits"), keys: dataOf("keys"), values: dataOf("values") })
  }
  return at.value
})

export const Captioner = drivenMap({
  name: "Captioner",
  version: 1,
  description: "Writes a caption for each image.",
  config: Schema.Struct({
    batch_size: batchSize,
    decode: Decode.pipe(Schema.withDecodingDefaultKey(Effect.succeed({ ...defaults })))
  }),
  model: ["blip"],
  random: true,
  inputs: { image: "image" },
  outputs: { caption: "text" },
  drive: ({ model, config, tokenizer }, context) => {
    const looking = context.program("look", look(model))
    const stepping = context.program("step", decodingStep(model))
    const options = optionsOf(config.decode, model, tokenizer)
    return {
      run: Effect.fnUntraced(function* (inputs, rowIds) {
        const { cross_keys, cross_values } = (yield* context.run(looking, inputs)) as Record<string, HostArray>
        const keys = rowIds.map((id) => randomKey(context.seed, context.node, id))
        const seen = { cross_keys: cross_keys!, cross_values: cross_values! }
        const captions = yield* captionsOf({ ...options, ...seen, keys }, context, stepping)
        return { caption: captions.map(({ ids }) => tokenizer.decode(ids)) }
      })
    }
  }
})
