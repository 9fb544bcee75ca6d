/**
 * A caption to the words that caption metrics compare: lower case, Penn Treebank's clitics apart, punctuation dropped, as
 * the COCO caption evaluation does with Stanford's tokeniser.
 *
 *   "The dog's bowl isn't empty!"   ->   the dog 's bowl is n't empty
 *
 * Hyphenated words, times and dotted abbreviations stay one word (medium-dark, 7:30, u.s.); symbols are words (&, #).
 * Brackets are dropped (COCO's script means to, but its lower-cased "-lrb-" escapes its list).
 */
const acronym = String.raw`(?:\p{L}\.){2,}`
const number = String.raw`\p{N}+(?:[.,:]\p{N}+)*(?![\p{L}\p{M}\p{N}])`
const word = String.raw`[\p{L}\p{M}\p{N}]+(?:[-'][\p{L}\p{M}\p{N}]+)*`
const symbol = String.raw`[\p{S}#&%@*/]`
const token = new RegExp(`${acronym}|${number}|${word}|${symbol}`, "gu")

const clitic = /^(.+?)(n't|'(?:s|re|ve|ll|d|m))$/u

export const words = (text: string): ReadonlyArray<string> => {
  const plain = text.normalize("NFC").toLowerCase().replaceAll("\u2019", "'").replaceAll("`", " ")
  return (plain.match(token) ?? []).flatMap((each) => {
    const parts = clitic.exec(each)
    return parts === null ? [each] : [parts[1]!, parts[2]!]
  })
}

/** One caption's words and the words of everything it may say. */
export interface Judged {
  readonly caption: ReadonlyArray<string>
  /** At least one. */
  readonly references: ReadonlyArray<ReadonlyArray<string>>
}
