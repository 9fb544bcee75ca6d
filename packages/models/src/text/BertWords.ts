/**
 * BERT's words: what `BertTokenizer` (uncased) does to a text before it looks for pieces.
 *
 * Control characters go, every kind of space becomes one, ideographs stand alone, letters are lowered and lose their
 * accents, and each punctuation mark is a word of its own.
 */

const DROPPED = /[\0\uFFFD]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Cn}\p{Co}]/gu

/** The CJK Unified Ideographs blocks, as BERT lists them: not kana, not hangul. */
const IDEOGRAPH =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu

/** All ASCII that is neither letter, digit nor space counts, such as $ and <, which Unicode calls symbols. */
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu

const ACCENT = /\p{Mn}/gu

/** Letters are lowered one by one, so a sigma at a word's end stays the usual one. The text as pieces are looked up in it; words still joined to their punctuation. */
export const normalizeText = (text: string): string =>
  text
    .replace(DROPPED, "")
    .replace(IDEOGRAPH, " $& ")
    .normalize("NFD")
    .replace(ACCENT, "")
    .replaceAll("\u03A3", "\u03C3")
    .toLowerCase()

export const bertWords = (text: string): ReadonlyArray<string> =>
  normalizeText(text)
    .replace(PUNCTUATION, " $& ")
    .split(/\p{White_Space}+/u)
    .filter((word) => word !== "")
