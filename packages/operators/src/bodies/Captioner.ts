/** Captioner at work: images and the prompt seen once, then a host loop over the decoder's steps. */
import { NodeError } from "@bootlace/graph"
import { numLikeliest, randomKey } from "@bootlace/models"
import type { BlipModel, GenerateOptions, Method, Tokenizer } from "@bootlace/models"
import * as Effect from "effect/Effect"
import type { Config, Decode } from "../Captioner.ts"
import { decodeImages, prefillProgram, stepProgram } from "../tensor/DecodingStep.ts"
import { promptIds } from "../tensor/Prompt.ts"
import type { DriveContext } from "../tensor/tensorMap.ts"
import type { Drive, ProgramContext } from "../tensor/TensorOperator.ts"

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

const optionsOf = ({ decode, prompt }: Config, model: BlipModel, tokenizer: Tokenizer) => {
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

export const drive = (
  { model, config, tokenizer }: ProgramContext<Config, BlipModel>,
  context: DriveContext
): Drive => {
  const options = optionsOf(config, model, tokenizer)
  const num_likeliest = numLikeliest(options)
  const programs = {
    prefill: context.program("prefill", prefillProgram(model, num_likeliest)),
    step: context.program("step", stepProgram(model, num_likeliest))
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
