/**
 * ITC and ITM where rows of the batch and the queue show the same image: losses, targets, weights of the negatives, gradients.
 *
 * A case has rounds, `round0.image_embeds` and so on; one without `idx_queue` has no queue. `plain` is the loss over the batch alone,
 * without a twin.
 */
import { Engine } from "@bootlace/engine"
import type { HostTensor, HostTensors, Tensors, TrainingProgram } from "@bootlace/engine"
import { blipOptimizer, contrastive, momentumContrastive, negativeWeights } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { close, closeNumber, failed, gradient } from "./Check.ts"
import type { Check } from "./Check.ts"

const leaves = ["image_embeds", "text_embeds", "temp"]

const embedsOf = ({ weights }: { readonly weights: Tensors }) => ({
  image_embeds: weights["image_embeds"]!,
  text_embeds: weights["text_embeds"]!,
  scale: tf.div(1, weights["temp"]!) as tf.Tensor
})

const program = (name: string, run: TrainingProgram["run"]): TrainingProgram => ({
  name,
  weights: leaves,
  twin: [],
  state: {},
  run
})

const withTwin = program("retrieval", ({ weights, inputs }) => {
  const image_ids = inputs["idx"]!
  const { image_queue, text_queue, idx_queue } = inputs
  const itc = momentumContrastive({
    ...embedsOf({ weights }),
    twin_image_embeds: inputs["twin_image_embeds"]!,
    twin_text_embeds: inputs["twin_text_embeds"]!,
    ...(idx_queue === undefined ? {} : { image_queue: image_queue!, text_queue: text_queue!, idx_queue }),
    alpha: inputs["alpha"]!,
    image_ids
  })
  const outputs = {
    targets_i2t: itc.targets_i2t,
    targets_t2i: itc.targets_t2i,
    weights_i2t: negativeWeights(itc.similarity_i2t, image_ids),
    weights_t2i: negativeWeights(itc.similarity_t2i, image_ids)
  }
  return { losses: { loss_ita: itc.itc_loss }, outputs }
})

const plain = program("retrieval, plain", ({ weights, inputs }) => {
  const { itc_loss } = contrastive({ ...embedsOf({ weights }), image_ids: inputs["idx"]! })
  return { losses: { plain_loss: itc_loss }, outputs: {} }
})

const roundsOf = (expected: HostTensors): ReadonlyMap<string, Record<string, HostTensor>> => {
  const rounds = new Map<string, Record<string, HostTensor>>()
  for (const [key, tensor] of Object.entries(expected)) {
    const [round, name] = [key.slice(0, key.indexOf(".")), key.slice(key.indexOf(".") + 1)]
    rounds.set(round, { ...rounds.get(round), [name]: tensor })
  }
  return rounds
}

const inputNames = ["twin_image_embeds", "twin_text_embeds", "image_queue", "text_queue", "idx_queue", "alpha", "idx"]

const roundChecks = Effect.fnUntraced(function* (round: string, expected: HostTensors) {
  const executor = yield* Engine
  const picked = (names: ReadonlyArray<string>): HostTensors =>
    Object.fromEntries(names.flatMap((name) => (expected[name] === undefined ? [] : [[name, expected[name]]])))
  const loaded = yield* executor.load(picked(leaves))
  const checks: Array<Check> = []
  for (const [of, names, prefix] of [
    [withTwin, inputNames, "grad"],
    [plain, ["idx"], "plain_grad"]
  ] as const) {
    const trainer = yield* loaded.train(of, blipOptimizer, { _tag: "Fresh", state: {} })
    const { losses, outputs, gradients } = yield* trainer.gradients(picked(names))
    for (const [name, value] of Object.entries(losses))
      checks.push(closeNumber(`${round} ${name}`, value, expected[name]!.data[0]!, 1e-5))
    for (const [name, tensor] of Object.entries(outputs))
      checks.push(close(`${round} ${name}`, tensor, expected[name]!, 1e-5))
    for (const name of leaves) {
      const wanted = expected[`${prefix}.${name}`]
      const check = `${round} ${prefix}.${name}`
      checks.push(wanted === undefined ? failed(check, "not stored") : gradient(check, gradients[name]!, wanted))
    }
  }
  return checks
}, Effect.scoped)

export const retrievalChecks = Effect.fnUntraced(function* (expected: HostTensors) {
  const checks: Array<Check> = []
  for (const [round, tensors] of roundsOf(expected)) checks.push(...(yield* roundChecks(round, tensors)))
  return checks
})
