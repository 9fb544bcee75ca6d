import "./CpuTraining.ts"
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { assert, beforeAll, describe, it } from "vitest"
import { gelu, layerNorm } from "../src/Composites.ts"
import { contrastive } from "../src/objectives/Contrastive.ts"
import { captionLogLikelihood, languageModeling } from "../src/objectives/LanguageModeling.ts"
import { hardNegatives } from "../src/objectives/Matching.ts"
import { momentumContrastive } from "../src/objectives/MomentumContrastive.ts"
import { gumbels, normals, randomKey } from "../src/Random.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const random = (name: string, shape: Array<number>): Tensor =>
  tf.tensor(
    normals(
      randomKey(5, name),
      shape.reduce((product, size) => product * size, 1)
    ),
    shape
  )
const numberOf = (x: Tensor): number => x.dataSync()[0]!

describe("contrastive", () => {
  it("is log B for embeddings that say nothing, and near 0 for pairs far from all others", () => {
    const ones = tf.ones([5, 3])
    assert.closeTo(
      numberOf(contrastive({ image_embeds: ones, text_embeds: ones, scale: tf.scalar(9) }).itc_loss),
      Math.log(5),
      1e-6
    )
    const eye = tf.eye(5)
    const far = contrastive({ image_embeds: eye, text_embeds: eye, scale: tf.scalar(100) })
    assert.closeTo(numberOf(far.itc_loss), 0, 1e-6)
    assert.deepStrictEqual([numberOf(far.image_accuracy), numberOf(far.text_accuracy)], [1, 1])
  })

  it("is what ITC is without twin, queue and soft targets", () => {
    const [image_embeds, text_embeds, scale] = [random("i", [4, 6]), random("t", [4, 6]), tf.scalar(3)]
    const plain = contrastive({ image_embeds, text_embeds, scale })
    const itc = momentumContrastive({
      image_embeds,
      text_embeds,
      twin_image_embeds: image_embeds,
      twin_text_embeds: text_embeds,
      scale,
      alpha: tf.scalar(0)
    })
    assert.closeTo(numberOf(itc.itc_loss), numberOf(plain.itc_loss), 1e-6)
  })
})

describe("ITC by images", () => {
  const [image_embeds, text_embeds, scale] = [random("i", [4, 6]), random("t", [4, 6]), tf.scalar(3)]

  it("is plain ITC where no image comes twice", () => {
    const image_ids = tf.tensor2d([
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2]
    ])
    const [own, plain] = [
      contrastive({ image_embeds, text_embeds, scale, image_ids }),
      contrastive({ image_embeds, text_embeds, scale })
    ]
    for (const name of ["itc_loss", "image_accuracy", "text_accuracy"] as const)
      assert.strictEqual(numberOf(own[name]), numberOf(plain[name]))
  })

  it("counts every text of the image as right", () => {
    const image_ids = tf.tensor2d([
      [5, 5],
      [5, 5],
      [5, 5],
      [5, 5]
    ])
    const { image_accuracy, text_accuracy } = contrastive({ image_embeds, text_embeds, scale, image_ids })
    assert.deepStrictEqual([numberOf(image_accuracy), numberOf(text_accuracy)], [1, 1])
  })
})

describe("ITC's soft targets", () => {
  it("give no gradient to the scale that made them", () => {
    const [images, texts] = [random("i", [4, 6]), random("t", [4, 6])]
    const loss = (scale: Tensor, targetScale?: number): Tensor => {
      const twins = { twin_image_embeds: images, twin_text_embeds: texts }
      const at = { image_embeds: images, text_embeds: texts, ...twins, alpha: tf.scalar(1) }
      if (targetScale === undefined) return momentumContrastive({ ...at, scale }).itc_loss
      // Cross-entropy against softmax at a fixed scale, written out.
      const unit = (x: Tensor): Tensor => tf.div(x, tf.norm(x, 2, 1, true))
      const side = (a: Tensor, b: Tensor): Tensor => {
        const cosines: Tensor = tf.matMul(unit(a), unit(b), false, true)
        const targets = tf.softmax(tf.mul(cosines, targetScale))
        return tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(tf.mul(cosines, scale)), targets), -1)))
      }
      return tf.mul(tf.add(side(images, texts), side(texts, images)), 0.5)
    }
    const own = numberOf(tf.grad((scale) => loss(scale))(tf.scalar(3)))
    const fixed = numberOf(tf.grad((scale) => loss(scale, 3))(tf.scalar(3)))
    assert.closeTo(own, fixed, 1e-6)
  })
})

describe("hard negatives", () => {
  it("are never the own pair, and are drawn in proportion to softmax(similarity)", () => {
    const B = 4
    const similarity = random("s", [B, B])
    const counts = new Float64Array(B * B)
    const draws = 4000
    for (let i = 0; i < draws; i++) {
      const noise = tf.tensor(gumbels(randomKey(3, i), B * B), [B, B])
      const { text_indices } = hardNegatives({
        similarity_i2t: similarity,
        similarity_t2i: similarity,
        gumbel_i2t: noise,
        gumbel_t2i: noise
      })
      text_indices.dataSync().forEach((column, row) => counts[row * B + column]!++)
    }
    const weights = tf.softmax(similarity).arraySync() as Array<Array<number>>
    weights.forEach((row, r) => {
      const masked = row.map((weight, c) => (c === r ? 0 : weight + 1e-4))
      const total = masked.reduce((sum, weight) => sum + weight, 0)
      masked.forEach((weight, c) => {
        if (c === r) assert.strictEqual(counts[r * B + c], 0)
        else assert.closeTo(counts[r * B + c]! / draws, weight / total, 0.04)
      })
    })
  })

  it("are never of the same image", () => {
    const B = 6
    const similarity = random("s", [B, B])
    // The second and third images share one half of the first one's id.
    const ids = [
      [7, 9],
      [7, 8],
      [7, 9],
      [6, 9],
      [7, 9],
      [7, 8]
    ]
    const image_ids = tf.tensor2d(ids)
    const drawn = new Set<string>()
    for (let i = 0; i < 500; i++) {
      const noise = tf.tensor(gumbels(randomKey(4, i), B * B), [B, B])
      const { image_indices, text_indices } = hardNegatives({
        similarity_i2t: similarity,
        similarity_t2i: tf.transpose(similarity),
        gumbel_i2t: noise,
        gumbel_t2i: tf.transpose(noise),
        image_ids
      })
      for (const indices of [image_indices, text_indices])
        indices.dataSync().forEach((column, row) => drawn.add(`${row} ${column}`))
    }
    const allowed = ids.flatMap((a, row) =>
      ids.flatMap((b, column) => (String(a) === String(b) ? [] : [`${row} ${column}`]))
    )
    assert.deepStrictEqual([...drawn].toSorted(), allowed.toSorted())
  })

  it("need two pairs", () => {
    const one = tf.zeros([1, 1])
    const at = { similarity_i2t: one, similarity_t2i: one, gumbel_i2t: one, gumbel_t2i: one }
    assert.throws(() => hardNegatives(at), "at least 2 pairs, got 1")
  })
})

describe("language modelling", () => {
  const logits = random("l", [2, 4, 7])
  const input_ids = tf.tensor([1, 2, 3, 4, 1, 5, 6, 0], [2, 4], "int32")

  it("leaves out what the mask leaves out", () => {
    const masked = tf.tensor([1, 1, 1, 1, 1, 1, 1, 0], [2, 4], "int32")
    const other = tf.tensor([1, 2, 3, 4, 1, 5, 6, 3], [2, 4], "int32")
    const loss = (ids: Tensor): number =>
      numberOf(languageModeling({ logits, input_ids: ids, target_mask: masked, label_smoothing: 0.1 }).lm_loss)
    assert.strictEqual(loss(input_ids), loss(other))
  })

  it("is zero, not NaN, when nothing is scored", () => {
    const target_mask = tf.zeros([2, 4], "int32")
    assert.strictEqual(numberOf(languageModeling({ logits, input_ids, target_mask, label_smoothing: 0.1 }).lm_loss), 0)
  })

  it("is minus the mean log-likelihood of captions of one length, without smoothing", () => {
    const target_mask = tf.ones([2, 4], "int32")
    const loss = numberOf(languageModeling({ logits, input_ids, target_mask, label_smoothing: 0 }).lm_loss)
    const likelihoods = captionLogLikelihood({ logits, input_ids, target_mask })
    assert.closeTo(numberOf(tf.mean(likelihoods)), -loss, 1e-6)
  })
})

describe("composites", () => {
  it("use the backend's fused kernel where it has one", () => {
    const x = random("x", [2, 3])
    const plain = gelu(x).dataSync()
    tf.registerKernel({
      kernelName: "Gelu",
      backendName: "cpu",
      kernelFunc: ({ inputs }) => tf.mul(inputs["x"] as Tensor, 0)
    })
    assert.deepStrictEqual([...gelu(x).dataSync()].map(Math.abs), [0, 0, 0, 0, 0, 0])
    tf.unregisterKernel("Gelu", "cpu")
    assert.deepStrictEqual(gelu(x).dataSync(), plain)
  })

  it("normalise rows to mean 0 and variance 1", () => {
    const normed = layerNorm(random("n", [5, 64]), tf.ones([64]), tf.zeros([64]), 1e-12)
    for (const row of tf.unstack(normed)) {
      assert.closeTo(numberOf(tf.mean(row)), 0, 1e-6)
      assert.closeTo(numberOf(tf.mean(tf.square(row))), 1, 1e-5)
    }
  })
})
