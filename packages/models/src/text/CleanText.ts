/**
 * What OpenAI's CLIP and open_clip do to a text before tokenizing it: ftfy's `fix_text` (Speer 2019), HTML entities decoded
 * twice, every run of spaces one space.
 */
import { decodeHTML, decodeHTMLStrict } from "entities"
import { fixControls, fixEncoding } from "./FixEncoding.ts"

/** Ligatures that fonts should make, and digraphs of old encodings. NFKC knows all but the first. */
const LIGATURES = /[\u0132\u0133\u01C4-\u01CC\u01F1-\u01F3\uFB00-\uFB04\uFB06]/g
const ligature = (character: string): string => character.normalize("NFKC").normalize("NFC")

const fixLigatures = (text: string): string =>
  text.replaceAll("\u0149", "\u02BCn").replaceAll("\uFB05", "\u017Ft").replace(LIGATURES, ligature)

/** Half- and full-width forms in their usual width. */
const fixWidth = (text: string): string =>
  text.replaceAll("\u3000", " ").replace(/[\uFF01-\uFFEF]/g, (character) => character.normalize("NFKC"))

const uncurlQuotes = (text: string): string =>
  text.replace(/[\u201C-\u201F]/g, '"').replace(/[\u02BC\u2018-\u201B]/g, "'")

const fixLineBreaks = (text: string): string => text.replace(/\r\n|[\r\u2028\u2029\x85]/g, "\n")

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROLS = /\x1B\[[\d;]*[a-zA-Z]|[\0-\x08\x0B\x0E-\x1F\x7F\u206A-\u206F\uFEFF\uFFF9-\uFFFC]/g

/** Code points that a number in a text may name but no text may hold, as Python's html.unescape drops them. */
const isDropped = (point: number): boolean =>
  (point >= 0x1 && point <= 0x8) ||
  point === 0xb ||
  (point >= 0xe && point <= 0x1f) ||
  (point >= 0x7f && point <= 0x9f) ||
  (point >= 0xfdd0 && point <= 0xfdef) ||
  (point & 0xfffe) === 0xfffe

/** Numbers 80 to 9F mean Windows-1252. */
const numbered = (digits: string): string => {
  const point = /^x/i.test(digits) ? Number.parseInt(digits.slice(1), 16) : Number.parseInt(digits, 10)
  if (point === 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return "\uFFFD"
  if (point === 0xd) return "\r"
  if (point >= 0x80 && point <= 0x9f) return fixControls(String.fromCharCode(point))
  return isDropped(point) ? "" : String.fromCodePoint(point)
}

const REFERENCE = /&(?:#(\d+|[xX][\da-fA-F]+);?|[^\t\n\f <&#;]{1,32};?)/g

/** Python's html.unescape. */
const unescapeHtml = (text: string): string =>
  text.replace(REFERENCE, (reference, digits?: string) =>
    digits === undefined ? decodeHTML(reference) : numbered(digits)
  )

/** Entities that are spelled out to their semicolon; names in capitals mean capitals. */
const unescapeStrictly = (text: string): string =>
  text.replace(/&#?[0-9A-Za-z]{1,24};/g, (entity) => {
    if (entity.startsWith("&#")) {
      const unescaped = unescapeHtml(entity)
      return unescaped.includes(";") ? entity : unescaped
    }
    const decoded = decodeHTMLStrict(entity)
    if (decoded !== entity || entity !== entity.toUpperCase() || unescapeHtml(entity) !== entity) return decoded
    const small = decodeHTMLStrict(entity.toLowerCase())
    return small === entity.toLowerCase() ? entity : small.toUpperCase()
  })

const steps = [fixEncoding, fixControls, fixLigatures, fixWidth, uncurlQuotes, fixLineBreaks]

const fixSegment = (text: string, unescapes: boolean): string => {
  const start = unescapes ? unescapeStrictly(text) : text
  const fixed = steps
    .reduce((now, step) => step(now), start)
    .toWellFormed()
    .replace(CONTROLS, "")
    .normalize("NFC")
  return fixed === text ? text : fixSegment(fixed, unescapes)
}

/** ftfy's fix_text: line by line; entities are left alone from the first line on that has a "<". */
export const fixText = (text: string): string => {
  let unescapes = true
  return text
    .split(/(?<=\n)/)
    .map((line) => {
      unescapes &&= !line.includes("<")
      return fixSegment(line, unescapes)
    })
    .join("")
}

// oxlint-disable-next-line no-control-regex -- Python counts four separators among the spaces
const SPACES = /[\s\x1C-\x1F\x85]+/g

/** The text as its words are looked for in it; capitals are still there. */
export const cleanText = (text: string): string =>
  unescapeHtml(unescapeHtml(fixText(text)))
    .replace(SPACES, " ")
    .trim()
