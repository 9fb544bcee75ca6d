/**
 * A prompt: words that stand before every caption, "a picture of" in BLIP's fine-tuning (Li et al. 2022, section 4.2), and are given, not
 * predicted.
 *
 *   text [CLS] caption [SEP]   ->   [DEC] prompt caption [SEP], whose caption and [SEP] are scored
 */
import type { TokenTensors, Tokenizer } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { withFirstToken } from "./FirstToken.ts"

/** [DEC], then the prompt's tokens. */
export const promptIds = (tokenizer: Tokenizer, words: string | undefined): ReadonlyArray<number> => [
  tokenizer.dec,
  ...(words === undefined ? [] : tokenizer.encode(words, Infinity).slice(1, -1))
]

/** The texts as the decoder reads them; `target_mask` [B, T] is 1 on what it is to predict. */
export const decoderText = (
  text: TokenTensors,
  tokenizer: Tokenizer,
  words: string | undefined
): TokenTensors & { readonly target_mask: Tensor } => {
  const { attention_mask } = text
  if (words === undefined) return { ...withFirstToken(text, tokenizer.dec), target_mask: attention_mask }
  const ids = promptIds(tokenizer, words)
  const B = attention_mask.shape[0]!
  const behind = (values: ReadonlyArray<number>, x: Tensor): Tensor => {
    const before_BP = tf.tile(tf.tensor([[...values]], [1, values.length], "int32"), [B, 1])
    return tf.concat([before_BP, tf.slice(x, [0, 1], [-1, -1])], 1)
  }
  const all = (value: number): ReadonlyArray<number> => ids.map(() => value)
  return {
    ...text,
    input_ids: behind(ids, text.input_ids),
    attention_mask: behind(all(1), attention_mask),
    target_mask: behind(all(0), attention_mask)
  }
}
