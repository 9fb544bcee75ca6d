/**
 * Dropout of BLIP's text transformer in training, as BERT has it: the embeddings, the attention probabilities and what each block adds.
 *
 *   dropout_key  int32 [3], drawn anew for each step; the same for both passes over a micro-batch but for its first row
 */
import type { HostTensors, Tensors } from "@bootlace/engine"
import { dropoutKey, randomKey } from "@bootlace/models"
import type { Model, TokenTensors } from "@bootlace/models"
import { dropoutRefusal } from "./DropoutConfig.ts"
import type { StepContext } from "./TensorOperator.ts"

interface Config {
  readonly dropout?: number
}

export const dropoutFeeds = ({ dropout = 0 }: Config, { seed, node, step, first }: StepContext): HostTensors =>
  dropout === 0
    ? {}
    : {
        dropout_key: { shape: [3], dtype: "int32", data: dropoutKey(randomKey(seed, node, "dropout", step), first) }
      }

/** The texts, read with dropout where the config says so. Throws where the model has none. */
export const withDropout = (
  text: TokenTensors,
  { model, config: { dropout: rate = 0 } }: { readonly model: Model; readonly config: Config },
  { feeds, isTwin }: { readonly feeds: Tensors; readonly isTwin: boolean }
): TokenTensors => {
  if (rate === 0) return text
  const refusal = dropoutRefusal(model.architecture)
  if (refusal !== undefined) throw new Error(refusal)
  return { ...text, dropout: { rate, key: feeds["dropout_key"]!, prefix: isTwin ? "twin" : "" } }
}
