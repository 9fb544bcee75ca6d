/**
 * Cached decoding as two programs and what stays in the engine between their runs.
 *
 *   look   image_tokens [B, N, D]                                   ->  cross_keys.l, cross_values.l [B, H, N, d], held
 *   step   input_ids [B, k], position, visible [B, k, S], the held  ->  logits, log_totals, or ids, log_probabilities of the likeliest
 *                                                                       tokens; keys.l, values.l [B, H, k, d], written into the held
 *                                                                       self_keys.l, self_values.l [B, H, S, d]
 */
import type { HeldTensors, HostTensor, HostTensors, Keeping, Program, Specs, Tensors } from "@bootlace/engine"
import { decoding } from "@bootlace/models"
import type { BlipModel, GenerateOptions, KeysAndValues, StepInputs, StepOutputs } from "@bootlace/models"
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

export const lookProgram =
  (model: BlipModel): Program["run"] =>
  (weights, { image_tokens }) =>
    named("cross_", model.crossCache(weights, image_tokens!))

const lookKeeping = (model: BlipModel): Keeping => ({ keep: Object.keys(named("cross_", nameParts(model))) })

/** `num_likeliest`: `numLikeliest` of the decoding. */
export const stepProgram =
  (model: BlipModel, num_likeliest?: number): Program["run"] =>
  (weights, inputs) => {
    const cache = { self: gathered(model, "self_", inputs), cross: gathered(model, "cross_", inputs) }
    const { input_ids, position, visible } = inputs
    const { next, own } = model.decodeStep(weights, input_ids!, position!, visible!, cache, num_likeliest)
    return { ...next, ...named("", own) }
  }

/** The empty cache of `num_images` images with k rows each. */
const emptyCache = (model: BlipModel, num_images: number, k: number, max_length: number): Specs => {
  const { num_heads, head_width } = model.decoder
  const spec = { shape: [num_images, num_heads, k * max_length, head_width], dtype: "float32" as const }
  const all = layersOf(model).map(() => spec)
  return named("self_", { keys: all, values: all })
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

/** Where a step's keys and values go: of B H heads k blocks of d numbers each, into as many of the heads' S slots. */
const stepKeeping = (model: BlipModel, { input_ids, rows_per_image: k, visible, slots }: StepInputs): Keeping => {
  const num_slots = visible.length / input_ids.length
  const heads = (input_ids.length / k) * model.decoder.num_heads
  const places = Int32Array.from({ length: heads * k }, (_, i) => Math.floor(i / k) * num_slots + slots[i % k]!)
  const names = nameParts(model)
  const into = Object.fromEntries([...names.keys, ...names.values].map((name) => [name, `self_${name}`]))
  return { write: { into, places } }
}

const stepOutputs = ({ logits, log_totals, ids, log_probabilities }: HostTensors): StepOutputs =>
  logits === undefined
    ? { ids: ids!.data as Int32Array, log_probabilities: log_probabilities!.data as Float32Array }
    : { logits: logits.data as Float32Array, log_totals: log_totals!.data as Float32Array }

export interface DecodingPrograms {
  readonly look: Program
  readonly step: Program
}

/** Captions of the images with these tokens [B, N, D], B = num_images; `held` is this decoding's own. */
export const decodeImages = Effect.fnUntraced(function* <E>(
  model: BlipModel,
  { look, step }: DecodingPrograms,
  held: HeldTensors<E>,
  image_tokens: HostTensor,
  options: GenerateOptions
) {
  yield* held.run(look, { image_tokens }, lookKeeping(model))
  const k = options.method.method === "beam" ? options.method.num_beams : 1
  yield* held.zeros(emptyCache(model, options.num_images, k, options.max_length))
  const steps = decoding(options)
  let at = steps.next()
  while (at.done !== true) {
    if (at.value.images !== undefined) yield* held.take(Int32Array.from(at.value.images))
    at = steps.next(stepOutputs(yield* held.run(step, stepTensors(at.value), stepKeeping(model, at.value))))
  }
  return at.value
})
