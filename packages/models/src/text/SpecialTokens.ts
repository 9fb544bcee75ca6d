/**
 * BERT's special tokens and BLIP's two, in the order of the ids that a vocabulary made here gives them (0, 1, ...).
 * Published vocabularies have other ids: ask the tokenizer.
 */
export const SPECIAL_TOKENS: ReadonlyArray<string> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"]
