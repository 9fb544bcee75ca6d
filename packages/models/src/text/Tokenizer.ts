/** What turns text into token ids and back. Ids of special tokens differ from vocabulary to vocabulary: ask. */
export interface Tokenizer {
  readonly vocab_size: number
  /** Padding, which the attention mask hides. */
  readonly pad: number
  /**
   * First and last token of every encoded text: [CLS] and [SEP], or CLIP's start and end of text. SigLIP's texts have no
   * first token; `start` is their last one then.
   */
  readonly start: number
  readonly end: number
  /** What BLIP puts first for its decoder and its image-grounded encoder. Without such tokens: `start`. */
  readonly dec: number
  readonly enc: number
  /** Start (SigLIP: none), pieces, end: at most `max_length` ids, the last pieces dropped if need be. No padding. */
  readonly encode: (text: string, max_length: number) => Int32Array
  /** The text of the pieces; special tokens are left out. */
  readonly decode: (ids: Iterable<number>) => string
}

/** Start, pieces, end, cut to `max_length`. */
export const framed = (
  { start, end }: Pick<Tokenizer, "start" | "end">,
  pieces: ReadonlyArray<number>,
  max_length: number
): Int32Array => {
  if (max_length < 2) throw new Error(`a text needs room for its first and last token, got max_length ${max_length}`)
  return Int32Array.from([start, ...pieces.slice(0, max_length - 2), end])
}

/** Pieces, end, cut to `max_length`. */
export const framedTail = (end: number, pieces: ReadonlyArray<number>, max_length: number): Int32Array => {
  if (max_length < 1) throw new Error(`a text needs room for its last token, got max_length ${max_length}`)
  return Int32Array.from([...pieces.slice(0, max_length - 1), end])
}
