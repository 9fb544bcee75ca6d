/**
 * Cached decoding as two programs and what stays in the engine between their runs.
 *
 *   prefill   image_tokens [B, N, D], input_ids [B, P] of the prompt   ->  cross_keys.l, cross_values.l [B, H, N, d], held; below
 *   step      input_ids [B, k], position, visible [B, k, S], the held  ->  below
 *
 *   below: logits, log_totals, or ids, log_probabilities of the likeliest tokens, [B, ...] behind the prompt and [B k, ...] of a step;
 *   keys.l, values.l [B, H, P or k, d], written into the held self_keys.l, self_values.l [B, H, S, d]
 *
 * The prompt is read once an image, whatever its length and however many rows follow: they share its slots.
 */
import type { HeldTensors, HostTensor, HostTensors, Keeping, Program, Specs, Tensors } from "@bootlace/engine"
import { decoding, promptSlots } from "@bootlace/models"
import type { BlipModel, FedTokens, GenerateOptions, KeysAndValues, StepInputs, StepOutputs } from "@bootlace/models"
import type { Tensor } from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"

type Parts<A> = { readonly keys: ReadonlyArray<A>; readonly values: ReadonlyArray<A> }

const layersOf = ({ decoder }: BlipModel): ReadonlyArray<number> =>
  Array.from({ length: decoder.num_layers }, (_, l) => l)

/** By name, `${prefix}keys.0` and so on. */
const named = <A>(prefix: string, { keys, values }: Parts<A>): Readonly<Record<string, A>> =>
  Object.fromEntries([
    ...keys.map((each, l) => [`${prefix}keys.${l}`, each]),
    ...values.map((each, l) => [`${prefix}values.${l}`, each])
  ])

const gathered = (model: BlipModel, prefix: string, all: Tensors): KeysAndValues => {
  const part = (name: string): ReadonlyArray<Tensor> => layersOf(model).map((l) => all[`${prefix}${name}.${l}`]!)
  return { keys: part("keys"), values: part("values") }
}

const nameParts = (model: BlipModel): Parts<string> => ({
  keys: layersOf(model).map((l) => `keys.${l}`),
  values: layersOf(model).map((l) => `values.${l}`)
})

const fed = ({ next, own }: FedTokens): Tensors => ({ ...next, ...named("", own) })

/** `num_likeliest`: `numLikeliest` of the decoding, here and in `stepProgram`. */
export const prefillProgram =
  (model: BlipModel, num_likeliest?: number): Program["run"] =>
  (weights, { image_tokens, input_ids }) => {
    const cross = model.crossCache(weights, image_tokens!)
    return { ...named("cross_", cross), ...fed(model.prefill(weights, input_ids!, cross, num_likeliest)) }
  }

export const stepProgram =
  (model: BlipModel, num_likeliest?: number): Program["run"] =>
  (weights, inputs) => {
    const cache = { self: gathered(model, "self_", inputs), cross: gathered(model, "cross_", inputs) }
    const { input_ids, position, visible } = inputs
    return fed(model.decodeStep(weights, input_ids!, position!, visible!, cache, num_likeliest))
  }

/** The empty cache of `num_images` images. */
const emptyCache = (model: BlipModel, num_images: number, num_slots: number): Specs => {
  const { num_heads, head_width } = model.decoder
  const spec = { shape: [num_images, num_heads, num_slots, head_width], dtype: "float32" as const }
  const all = layersOf(model).map(() => spec)
  return named("self_", { keys: all, values: all })
}

/**
 * Where tokens' keys and values go: of B images' H heads as many blocks of d numbers each as there are `slots`, into these of the heads' S
 * slots.
 */
const writeInto = (model: BlipModel, num_images: number, num_slots: number, slots: ArrayLike<number>): Keeping => {
  const k = slots.length
  const heads = num_images * model.decoder.num_heads
  const places = Int32Array.from({ length: heads * k }, (_, i) => Math.floor(i / k) * num_slots + slots[i % k]!)
  const names = nameParts(model)
  const into = Object.fromEntries([...names.keys, ...names.values].map((name) => [name, `self_${name}`]))
  return { write: { into, places } }
}

/** The prompt once an image. */
const promptTensor = ({ num_images: B, prompt_ids }: GenerateOptions): HostTensor => {
  const P = prompt_ids.length
  return { shape: [B, P], dtype: "int32", data: Int32Array.from({ length: B * P }, (_, i) => prompt_ids[i % P]!) }
}

/** A step's inputs that come from the host. */
const stepTensors = ({ input_ids, rows_per_image: k, position, visible }: StepInputs): HostTensors => {
  const B = input_ids.length / k
  return {
    input_ids: { shape: [B, k], dtype: "int32", data: input_ids },
    position: { shape: [], dtype: "int32", data: Int32Array.of(position) },
    visible: { shape: [B, k, visible.length / input_ids.length], dtype: "float32", data: visible }
  }
}

const stepKeeping = (model: BlipModel, { input_ids, rows_per_image: k, visible, slots }: StepInputs): Keeping =>
  writeInto(model, input_ids.length / k, visible.length / input_ids.length, slots)

const stepOutputs = ({ logits, log_totals, ids, log_probabilities }: HostTensors): StepOutputs =>
  logits === undefined
    ? { ids: ids!.data as Int32Array, log_probabilities: log_probabilities!.data as Float32Array }
    : { logits: logits.data as Float32Array, log_totals: log_totals!.data as Float32Array }

export interface DecodingPrograms {
  readonly prefill: Program
  readonly step: Program
}

/** Captions of the images with these tokens [B, N, D], B = num_images; `held` is this decoding's own. */
export const decodeImages = Effect.fnUntraced(function* <E>(
  model: BlipModel,
  { prefill, step }: DecodingPrograms,
  held: HeldTensors<E>,
  image_tokens: HostTensor,
  options: GenerateOptions
) {
  const { num_images, method, max_length } = options
  const begin = decoding(options)
  const num_slots = (method.method === "beam" ? method.num_beams : 1) * max_length
  yield* held.zeros(emptyCache(model, num_images, num_slots))
  const keep = Object.keys(named("cross_", nameParts(model)))
  const keeping = { keep, ...writeInto(model, num_images, num_slots, promptSlots(options)) }
  const steps = begin(
    stepOutputs(yield* held.run(prefill, { image_tokens, input_ids: promptTensor(options) }, keeping))
  )
  let at = steps.next()
  while (at.done !== true) {
    if (at.value.images !== undefined) yield* held.take(Int32Array.from(at.value.images))
    at = steps.next(stepOutputs(yield* held.run(step, stepTensors(at.value), stepKeeping(model, at.value))))
  }
  return at.value
})
