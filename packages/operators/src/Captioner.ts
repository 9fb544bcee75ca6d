/**
 * Captioner: one caption per image, by the image-grounded decoder.
 *
 *   image    struct<bytes, path>
 *   caption  utf8, lower-case words as the vocabulary spells them; a row whose caption has no word is rejected
 *
 * Greedy, beam search, or nucleus sampling, whose random numbers are keyed by (seed, node, row id, position): a caption doesn't
 * depend on the rows beside it. Keys and values of images and earlier tokens stay in the engine; images whose captions have ended leave.
 * Li et al. 2022, section 3.3.
 */
import { NodeError } from "@bootlace/graph"
import { numLikeliest, randomKey } from "@bootlace/models"
import type { BlipModel, GenerateOptions, Method, Tokenizer } from "@bootlace/models"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeImages, lookProgram, stepProgram } from "./tensor/DecodingStep.ts"
import { prompt, promptIds } from "./tensor/Prompt.ts"
import { batchSize, drivenMap } from "./tensor/tensorMap.ts"

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
type Decode = typeof Decode.Type
const defaults: Decode = { method: "greedy", top_p: 0.9, temperature: 1, num_beams: 3, min_length: 2 }

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

const optionsOf = (
  { decode, prompt }: { readonly decode: Decode; readonly prompt?: string },
  model: BlipModel,
  tokenizer: Tokenizer
) => {
  const { repetition_penalty, min_length } = decode
  return {
    prompt_ids: promptIds(tokenizer, prompt),
    method: methodOf(decode),
    repetition_penalty: repetition_penalty ?? (decode.method === "nucleus" ? 1.1 : 1),
    max_length: Math.min(decode.max_length ?? 20, model.max_text_length),
    min_length,
    end: tokenizer.end,
    pad: tokenizer.pad
  } satisfies Partial<GenerateOptions>
}

export const Captioner = drivenMap({
  name: "Captioner",
  version: 5,
  description: "Writes a caption for each image.",
  config: Schema.Struct({
    batch_size: batchSize,
    prompt,
    decode: Decode.pipe(Schema.withDecodingDefaultKey(Effect.succeed({ ...defaults })))
  }),
  model: ["blip"],
  random: true,
  inputs: { image: "image" },
  outputs: { caption: "text" },
  looks: true,
  drive: ({ model, config, tokenizer }, context) => {
    const options = optionsOf(config, model, tokenizer)
    const programs = {
      look: context.program("look", lookProgram(model)),
      step: context.program("step", stepProgram(model, numLikeliest(options)))
    }
    // A caption may go on inside the prompt's last word, so it is cut as a text, as BLIP's code does.
    const before = tokenizer.decode(options.prompt_ids).length
    return {
      run: Effect.fnUntraced(function* ({ image }, rowIds) {
        const { prompt_ids, max_length } = options
        if (prompt_ids.length >= max_length) {
          const detail = `a prompt of ${prompt_ids.length} tokens, [DEC] included, leaves no room in max_length ${max_length}`
          return yield* new NodeError({ code: "R208", node: context.node, detail })
        }
        const { image_tokens } = yield* context.tower!(image!)
        const held = yield* context.hold
        const keys = rowIds.map((id) => randomKey(context.seed, context.node, id))
        const all = { ...options, num_images: rowIds.length, keys }
        const captions = yield* decodeImages(model, programs, held, image_tokens!, all)
        return { caption: captions.map(({ ids }) => tokenizer.decode(ids).slice(before).trimStart()) }
      }, Effect.scoped)
    }
  }
})
