/**
 * What every model gives: its weights by Hugging Face name, and pure functions of them in tfjs-core operations.
 *
 *   B batch   N image tokens (patches + 1)   D their width   T text tokens   E embedding size   V vocabulary   L layers   H heads
 *
 * Weights keep PyTorch's layout (a Linear is [out, in]), so that a checkpoint folder and a trained model are the same bytes.
 */
import type { Tensor } from "@tensorflow/tfjs-core"
import type { ImageProcessor } from "./Config.ts"

export type Weights = Readonly<Record<string, Tensor>>
export type Shapes = Readonly<Record<string, ReadonlyArray<number>>>
export type Arrays = Readonly<Record<string, Float32Array>>

/** What a step of a training leaves out: see Dropout.ts. */
export interface Dropout {
  /** In [0, 1). */
  readonly rate: number
  /** int32 [3] */
  readonly key: Tensor
  /** Sets sites of equal name apart: those of a twin. */
  readonly prefix?: string
}

/** Token rows, padded to a common length T. Both int32; the mask is 1 on tokens, 0 on padding. */
export interface TokenTensors {
  readonly input_ids: Tensor
  readonly attention_mask: Tensor
  /** In training; BLIP's text transformer knows it. */
  readonly dropout?: Dropout
}

export interface ImageFeatures {
  /** [B, N, D], last hidden states after the tower's last norm. */
  readonly image_tokens: Tensor
  /** [B, E], projected, NOT normalised. */
  readonly image_embeds: Tensor
}

/** A tower from the inside, for comparing it with another implementation block by block. */
export interface States {
  /** What enters the first block and what leaves each, [B, tokens, D]: number of layers + 1. */
  readonly hidden: ReadonlyArray<Tensor>
  /** [B, tokens, D] after the tower's last norm. */
  readonly last: Tensor
  /** [B, D], what the projection reads. */
  readonly pooled: Tensor
}

/** Of each layer. */
export interface KeysAndValues {
  readonly keys: ReadonlyArray<Tensor>
  readonly values: ReadonlyArray<Tensor>
}

/** Self-attention's keys and values of the tokens so far, [B, H, S, D/H] by layer, and the cross-attention's of the images. */
export interface DecoderCache {
  readonly self: KeysAndValues
  readonly cross: KeysAndValues
}

export interface Preprocess {
  readonly image_size: number
  readonly image_mean: readonly [number, number, number]
  readonly image_std: readonly [number, number, number]
  /** CLIP: shortest side, then centre crop. BLIP and SigLIP: straight to a square. */
  readonly resize: "shortest_side_center_crop" | "square"
  /** Imported models: whose pixels to make, to the last grey level. Else Pillow's resize, and alpha is dropped. */
  readonly processor?: ImageProcessor
}

interface Base {
  /** The whole config as JSON in Hugging Face's words; what `modelFromConfig` reads back. */
  readonly config: unknown
  readonly preprocess: Preprocess
  readonly max_text_length: number
  /** `full`: every text is padded to `max_text_length`, and padding is read like text. */
  readonly text_padding: "hidden" | "full"
  readonly vocab_size: number
  /** [N, D] and E. */
  readonly image_tokens: readonly [number, number]
  readonly embed_dim: number
  readonly shapes: Shapes
  /** Initial weights as the papers' code draws them; `seed` picks the draw. With `names`: only those. */
  readonly init: (seed: number, names?: ReadonlyArray<string>) => Arrays
  /** With `kept_BK`, int32, of each image only these patches and the class token; a tower without a class token throws. */
  readonly encodeImage: (weights: Weights, pixels_BCHW: Tensor, kept_BK?: Tensor) => ImageFeatures
  /** [B, E], projected, NOT normalised. */
  readonly encodeText: (weights: Weights, text: TokenTensors) => Tensor
  readonly imageStates: (weights: Weights, pixels_BCHW: Tensor) => States
  readonly textStates: (weights: Weights, text: TokenTensors) => States
  /** The scalar that multiplies similarities: exp(logit_scale) in CLIP and SigLIP, 1 / temp in BLIP. */
  readonly similarityScale: (weights: Weights) => Tensor
  /** The scalar added to scaled similarities, where the model has one: the sigmoid loss needs it. */
  readonly similarityBias?: (weights: Weights) => Tensor
  /** The scalar weights that training holds inside bounds. */
  readonly clamp: Readonly<Record<string, readonly [number, number]>>
  /** Weights read by `encodeImage`, `encodeText` (with projections): what a momentum twin copies. */
  readonly encoderWeights: ReadonlyArray<string>
}

/** Tokens that a cached decoding has fed: what may follow, and their own keys and values for the caller to write into slots of the cache. */
export interface FedTokens {
  readonly next: NextTokens
  readonly own: KeysAndValues
}

/** Logits [B k, V] and the log of each row's sum of exponentials [B k]; or ids int32 [B k, n], the likeliest first, and their log-probabilities. */
export type NextTokens =
  | { readonly logits: Tensor; readonly log_totals: Tensor }
  | { readonly ids: Tensor; readonly log_probabilities: Tensor }

export interface ClipModel extends Base {
  readonly architecture: "clip"
}

export interface SiglipModel extends Base {
  readonly architecture: "siglip"
}

export interface BlipModel extends Base {
  readonly architecture: "blip"
  /**
   * Image-grounded encoder: [B, 2] logits, class 1 = match. The caller puts [ENC] first in `input_ids`. Of fewer images than texts, U, each has
   * B / U texts side by side, for all of which its keys and values are made once; or `images`, int32 [B], says which image each text sees.
   */
  readonly matchLogits: (weights: Weights, image_tokens_UND: Tensor, text: TokenTensors, images_B?: Tensor) => Tensor
  /**
   * Image-grounded decoder, teacher forced: [B, T, V] next-token logits. The caller puts [DEC] first in `input_ids`. Images as in
   * `matchLogits`.
   */
  readonly decodeLogits: (weights: Weights, image_tokens_UND: Tensor, text: TokenTensors) => Tensor
  /** Cross-attention keys and values of each image, for all decoding steps: a tensor [B, H, N, D/H] by layer. */
  readonly crossCache: (weights: Weights, image_tokens_BND: Tensor) => KeysAndValues
  /**
   * The first tokens of cached decoding at once, one row an image: `input_ids` [B, P], at positions 0 to P - 1, each of which sees itself and
   * those before it. What may follow the last one, all of it or the `num_likeliest` likeliest tokens, and the P tokens' keys and values,
   * [B, H, P, D/H] by layer.
   */
  readonly prefill: (weights: Weights, input_ids_BP: Tensor, cross: KeysAndValues, num_likeliest?: number) => FedTokens
  /**
   * One step of cached decoding, k rows an image: `input_ids` [B, k]; `position` int32 scalar; `visible` [B, k, S] is 0 for the slots to attend
   * to and -1e9 elsewhere. Returns what may follow each row, all of it or the `num_likeliest` likeliest tokens, and these tokens' keys and
   * values, [B, H, k, D/H] by layer.
   */
  readonly decodeStep: (
    weights: Weights,
    input_ids: Tensor,
    position: Tensor,
    visible: Tensor,
    cache: DecoderCache,
    num_likeliest?: number
  ) => FedTokens
  /** The sizes of its caches: L, H and D/H. */
  readonly decoder: { readonly num_layers: number; readonly num_heads: number; readonly head_width: number }
}

export type Model = ClipModel | BlipModel | SiglipModel
