/**
 * Captions, token by token: the host's half of decoding. The device's half is `BlipModel.prefill`, once for the prompt, and `decodeStep`.
 *
 *   B images, whose keys and values the device holds   ->   B captions
 *
 * `decoding` is a coroutine, so the same loop is driven by promises (`generate`) or by whatever else runs programs.
 */
import { beamSearch } from "./BeamSearch.ts"
import type { Caption, Decoding, GenerateOptions, Method, StepInputs, StepOutputs } from "./Decoding.ts"
import { sampling } from "./Sampling.ts"

const checkMethod = (method: Method, num_images: number, num_keys: number): void => {
  if (method.method === "nucleus" && !(method.top_p > 0 && method.top_p <= 1))
    throw new Error(`top_p: expected a number above 0 and at most 1, got ${method.top_p}`)
  if (method.method === "nucleus" && num_keys !== num_images)
    throw new Error(`keys: expected one for each of ${num_images} images, got ${num_keys}`)
  if (method.method === "beam" && !(Number.isInteger(method.num_beams) && method.num_beams >= 1))
    throw new Error(`num_beams: expected a positive integer, got ${method.num_beams}`)
}

/** Throws when an option can't be. Begins with what may follow the prompt, one row an image. */
export const decoding = (options: GenerateOptions): ((first: StepOutputs) => Decoding) => {
  const { prompt_ids, max_length, method } = options
  if (prompt_ids.length === 0) throw new Error("prompt_ids: expected at least the start token")
  if (prompt_ids.length >= max_length)
    throw new Error(`max_length: expected more than the prompt's ${prompt_ids.length} tokens, got ${max_length}`)
  checkMethod(method, options.num_images, options.keys?.length ?? 0)
  return (first) =>
    method.method === "beam" ? beamSearch({ ...options, method }, first) : sampling({ ...options, method }, first)
}

/** Drives `decoding` with an asynchronous device. */
export const generate = async (
  options: GenerateOptions,
  prefill: () => Promise<StepOutputs>,
  step: (inputs: StepInputs) => Promise<StepOutputs>
): Promise<ReadonlyArray<Caption>> => {
  const begin = decoding(options)
  const steps = begin(await prefill())
  let at = steps.next()
  while (at.done !== true) at = steps.next(await step(at.value))
  return at.value
}
