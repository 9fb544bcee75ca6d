/** What turns text into token ids and back. */

export interface Encoded {
  /** Start token, pieces, end token; no padding. At most `max_length` ids. */
  readonly ids: ReadonlyArray<number>
  /** Pieces were dropped to keep to `max_length`. */
  readonly truncated: boolean
}

export interface Tokenizer {
  readonly vocab_size: number
  readonly pad_token_id: number
  /** First and last token of every encoded text: [CLS] and [SEP], or CLIP's start and end of text. */
  readonly start_token_id: number
  readonly end_token_id: number
  /** [DEC] and [ENC], which BLIP puts in the first place; absent in vocabularies without them. */
  readonly dec_token_id: number | undefined
  readonly enc_token_id: number | undefined
  readonly encode: (text: string, options: { readonly max_length: number }) => Encoded
  /** Text of the pieces, special tokens left out. */
  readonly decode: (ids: Iterable<number>) => string
}
