/** ITM at work: the image-grounded encoder and its head; in Train on hard negatives, too. */
import { gumbels, hardNegatives, matching, randomKey } from "@bootlace/models"
import type { BlipModel, Weights } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import type { Config } from "../ITM.ts"
import { withFirstToken } from "../tensor/FirstToken.ts"
import { dropoutFeeds, withDropout } from "../tensor/TextDropout.ts"
import type { ProgramContext, TensorsOf, TrainingLife } from "../tensor/TensorOperator.ts"

type Inputs = { readonly image_tokens: "image_tokens"; readonly text: "text" }

export const program =
  ({ model, tokenizer }: ProgramContext<Config, BlipModel>) =>
  (weights: Weights, { image_tokens, text }: TensorsOf<Inputs>) => {
    const logits_B2 = model.matchLogits(weights, image_tokens, withFirstToken(text, tokenizer.enc))
    const probabilities_B2 = tf.softmax(logits_B2, -1)
    return { match_probability: tf.reshape(tf.slice(probabilities_B2, [0, 1], [-1, 1]), [-1]) }
  }

export const training: TrainingLife<
  Config,
  Inputs & { readonly similarity: "similarity" },
  { readonly itm_loss: "loss" },
  BlipModel
> = {
  inputs: { image_tokens: "image_tokens", text: "text", similarity: "similarity" },
  outputs: { itm_loss: "loss" },
  imageIds: ({ config }) => (config.same_image === "positive" ? { of: "image_tokens", at_least: 2 } : undefined),
  feeds: ({ config }, at) => {
    const { seed, node, step, batch_size: B } = at
    const noise = (direction: string) => ({
      shape: [B, B],
      dtype: "float32" as const,
      data: gumbels(randomKey(seed, node, "negatives", direction, step), B * B)
    })
    return { gumbel_i2t: noise("i2t"), gumbel_t2i: noise("t2i"), ...dropoutFeeds(config, at) }
  },
  program:
    ({ model, config, tokenizer }) =>
    ({ weights, inputs: { image_tokens, text, similarity }, feeds, image_ids, isTwin }) => {
      const even = config.negatives === "random"
      const negatives = hardNegatives({
        similarity_i2t: even ? tf.zerosLike(similarity.i2t) : similarity.i2t,
        similarity_t2i: even ? tf.zerosLike(similarity.t2i) : similarity.t2i,
        gumbel_i2t: feeds.gumbel_i2t!,
        gumbel_t2i: feeds.gumbel_t2i!,
        ...(image_ids === undefined ? {} : { image_ids })
      })
      const first = withFirstToken(withDropout(text, { model, config }, { feeds, isTwin }), tokenizer.enc)
      const { itm_loss, match_accuracy } = matching(model, weights, image_tokens, first, negatives)
      return { columns: { itm_loss }, metrics: { match_accuracy } }
    }
}
