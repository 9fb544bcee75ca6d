import "./CpuTraining.ts"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { assert, beforeAll, describe, it } from "vitest"
import { fromHuggingFace } from "../src/HuggingFaceNames.ts"
import { l2Normalize } from "../src/Layers.ts"
import { contrastive } from "../src/objectives/Contrastive.ts"
import { languageModeling, tokenLogLikelihoods } from "../src/objectives/LanguageModeling.ts"
import { gradientsOf, type Named } from "./AdamW.ts"
import { blipOf, initialWeights, namedWeights, startingWith, textOf, tokenIdsOf } from "./BlipCase.ts"
import { assertClose, assertGradient, maxDifference } from "./Close.ts"
import { readTensors, toTensor, type Stored } from "./Safetensors.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const cosines = (a: Tensor, b: Tensor): Tensor => tf.matMul(l2Normalize(a), l2Normalize(b), false, true)

describe("BLIP against BlipForImageTextRetrieval", () => {
  const model = blipOf("blip_itm")
  const stored = readTensors("blip_itm/model.safetensors")
  const expected = readTensors("blip_itm/expected_forward.safetensors")

  it("finds every tensor of the checkpoint, and names what it lacks", () => {
    const { missing, unused } = fromHuggingFace(model, Object.keys(stored))
    assert.deepStrictEqual(unused, [])
    assert.isTrue(missing.every((name) => name.startsWith("text_decoder.") || name === "temp"))
  })

  it("gives the same embeddings and ITC scores", () => {
    const weights = namedWeights(model, stored)
    const { image_embeds, image_tokens } = model.encodeImage(weights, toTensor(expected["pixel_values"]!))
    const text_embeds = model.encodeText(weights, textOf(expected))
    assertClose(image_embeds, expected["image_embeds_raw"]!, 1e-4, "image_embeds_raw")
    assertClose(text_embeds, expected["text_embeds_raw"]!, 1e-4, "text_embeds_raw")
    assertClose(tf.slice(image_tokens, 0, 2), expected["vision_last_hidden"]!, 1e-4, "vision_last_hidden")
    assertClose(cosines(image_embeds, text_embeds), expected["itc_score"]!, 1e-4, "itc_score")
  })

  it("gives the same match logits with [CLS], with [ENC], and for all pairs", () => {
    const weights = namedWeights(model, stored)
    const { image_tokens } = model.encodeImage(weights, toTensor(expected["pixel_values"]!))
    const text = textOf(expected, "input_ids_enc")
    assertClose(model.matchLogits(weights, image_tokens, textOf(expected)), expected["itm_logits_cls"]!, 1e-4, "[CLS]")
    assertClose(model.matchLogits(weights, image_tokens, text), expected["itm_logits_enc"]!, 1e-4, "[ENC]")
    const B = image_tokens.shape[0]
    const allPairs = Array.from({ length: B }, (_, image) => {
      const repeated = tf.tile(tf.slice(image_tokens, [image, 0, 0], [1, -1, -1]), [B, 1, 1])
      return model.matchLogits(weights, repeated, text)
    })
    assertClose(tf.stack(allPairs), expected["itm_logits_all_pairs_enc"]!, 1e-4, "all pairs")
  })

  it("gives the same embeddings however far texts are padded", () => {
    const weights = namedWeights(model, stored)
    const text = textOf(expected)
    const longer = {
      input_ids: tf.pad(
        text.input_ids,
        [
          [0, 0],
          [0, 9]
        ],
        1
      ),
      attention_mask: tf.pad(text.attention_mask, [
        [0, 0],
        [0, 9]
      ])
    }
    const near = model.encodeText(weights, text).dataSync()
    assert.isAtMost(maxDifference(model.encodeText(weights, longer).dataSync(), near), 1e-6)
  })
})

describe("BLIP against BlipModel", () => {
  it("gives the same embeddings, similarities and contrastive loss", () => {
    const model = blipOf("blip_model")
    const weights = namedWeights(model, readTensors("blip_model/model.safetensors"))
    const expected = readTensors("blip_model/expected_forward.safetensors")
    const { image_embeds } = model.encodeImage(weights, toTensor(expected["pixel_values"]!))
    const text_embeds = model.encodeText(weights, textOf(expected))
    const scale = model.similarityScale(weights)
    assertClose(image_embeds, expected["image_embeds_raw"]!, 1e-4, "image_embeds_raw")
    assertClose(text_embeds, expected["text_embeds_raw"]!, 1e-4, "text_embeds_raw")
    assertClose(tf.mul(cosines(image_embeds, text_embeds), scale), expected["logits_per_image"]!, 1e-3, "logits")
    assertClose(contrastive({ image_embeds, text_embeds, scale }).itc_loss, expected["loss"]!, 1e-4, "loss")
  })
})

describe("BLIP against BlipForConditionalGeneration", () => {
  const model = blipOf("blip_caption")
  const stored = readTensors("blip_caption/model.safetensors")
  const expected = readTensors("blip_caption/expected_lm.safetensors")
  const logitsOf = (loaded: Named): Tensor => {
    const weights = { ...initialWeights(model), ...loaded }
    const { image_tokens } = model.encodeImage(weights, toTensor(expected["pixel_values"]!))
    return model.decodeLogits(weights, image_tokens, textOf(expected))
  }
  const maskOf = (labels: Stored): Tensor =>
    toTensor({ shape: labels.shape, data: Int32Array.from(labels.data, (id) => (id === -100 ? 0 : 1)) })
  const lossOf = (logits: Tensor, labels: string, label_smoothing: number): Tensor =>
    languageModeling({
      logits,
      input_ids: toTensor(expected["input_ids"]!),
      target_mask: maskOf(expected[labels]!),
      label_smoothing
    }).lm_loss

  it("starts captions with [DEC]", () => {
    const text = textOf(expected)
    assert.deepStrictEqual(startingWith(tokenIdsOf(model).dec, text).input_ids.arraySync(), text.input_ids.arraySync())
  })

  it("gives the same logits and losses", () => {
    const logits = logitsOf(namedWeights(model, stored))
    const mask = expected["attention_mask"]!.data
    const values = logits.dataSync()
    const wanted = expected["logits"]!
    const [rows, T, V] = wanted.shape as [number, number, number]
    const visible = Array.from({ length: rows * T }, (_, place) => place).filter((place) => mask[place] === 1)
    for (const place of visible) {
      const at = [place * V, (place + 1) * V] as const
      assert.isAtMost(maxDifference(values.subarray(...at), wanted.data.subarray(...at)), 1e-4)
    }
    assertClose(lossOf(logits, "labels", 0), expected["loss_ls00"]!, 1e-4, "no smoothing")
    assertClose(lossOf(logits, "labels", 0.1), expected["loss_ls01"]!, 1e-4, "smoothing 0.1")
    assertClose(
      lossOf(logits, "labels_prompt_masked", 0.1),
      expected["loss_prompt_masked_ls01"]!,
      1e-4,
      "prompt masked"
    )
  })

  it("gives the same log-probability of every token", () => {
    const text = textOf(expected)
    const likelihoods = tokenLogLikelihoods({
      logits: logitsOf(namedWeights(model, stored)),
      input_ids: text.input_ids,
      target_mask: text.attention_mask
    })
    const wanted = expected["token_logprobs"]!
    const scored = tf.slice(text.attention_mask, [0, 1], [-1, -1]).dataSync()
    const masked = Float32Array.from(wanted.data, (value, i) => (scored[i] === 1 ? value : 0))
    assertClose(likelihoods, { shape: wanted.shape, data: masked }, 1e-4, "token_logprobs")
  })

  it("gives the same gradients", () => {
    const weights = namedWeights(model, stored)
    const { gradients } = gradientsOf(weights, (now) => lossOf(logitsOf(now), "labels", 0.1))
    const { names } = fromHuggingFace(model, Object.keys(stored))
    const ours = Object.fromEntries(Object.entries(names).map(([mine, theirs]) => [theirs, mine]))
    const wanted = Object.entries(expected).filter(([name]) => name.startsWith("grad."))
    assert.lengthOf(wanted, 9 + 1)
    for (const [name, gradient] of wanted) assertGradient(gradients[ours[name.slice(5)]!]!, gradient, name)
  })
})
