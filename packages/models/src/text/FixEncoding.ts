/**
 * Undoes what happens when UTF-8 is read in a one-byte encoding, as ftfy 6 does it (Speer 2019):
 * "caf\u00C3\u00A9" becomes "caf\u00E9".
 *
 * While the text looks garbled: find the first encoding that all of it could have been read in, take its bytes, and read them as
 * UTF-8. Where only parts of a text are garbled, the parts are mended on their own.
 */
import { looksGarbled } from "./Mojibake.ts"

const CP437 =
  "\u00C7\u00FC\u00E9\u00E2\u00E4\u00E0\u00E5\u00E7\u00EA\u00EB\u00E8\u00EF\u00EE\u00EC\u00C4\u00C5" +
  "\u00C9\u00E6\u00C6\u00F4\u00F6\u00F2\u00FB\u00F9\u00FF\u00D6\u00DC\u00A2\u00A3\u00A5\u20A7\u0192" +
  "\u00E1\u00ED\u00F3\u00FA\u00F1\u00D1\u00AA\u00BA\u00BF\u2310\u00AC\u00BD\u00BC\u00A1\u00AB\u00BB" +
  "\u2591\u2592\u2593\u2502\u2524\u2561\u2562\u2556\u2555\u2563\u2551\u2557\u255D\u255C\u255B\u2510" +
  "\u2514\u2534\u252C\u251C\u2500\u253C\u255E\u255F\u255A\u2554\u2569\u2566\u2560\u2550\u256C\u2567" +
  "\u2568\u2564\u2565\u2559\u2558\u2552\u2553\u256B\u256A\u2518\u250C\u2588\u2584\u258C\u2590\u2580" +
  "\u03B1\u00DF\u0393\u03C0\u03A3\u03C3\u00B5\u03C4\u03A6\u0398\u03A9\u03B4\u221E\u03C6\u03B5\u2229" +
  "\u2261\u00B1\u2265\u2264\u2320\u2321\u00F7\u2248\u00B0\u2219\u00B7\u221A\u207F\u00B2\u25A0\u00A0"

/** Characters of bytes 80 to FF; bytes that an encoding leaves out stand for themselves, as browsers read them. */
const upperHalf = (label: string): ReadonlyArray<string> => {
  const decoder = new TextDecoder(label)
  return Array.from({ length: 128 }, (_, i) => {
    const character = decoder.decode(Uint8Array.of(128 + i))
    return character === "\uFFFD" ? String.fromCharCode(128 + i) : character
  })
}

interface Charmap {
  readonly upper: ReadonlyArray<string>
  readonly bytes: ReadonlyMap<string, number>
  /** One of Windows' encodings, in which a lost character may hide as byte 1A. */
  readonly windows: boolean
  readonly mac: boolean
}

const charmap = (upper: ReadonlyArray<string>, name = ""): Charmap => {
  const windows = name.startsWith("windows")
  const bytes = new Map(upper.map((character, i) => [character, 128 + i]))
  for (let byte = 0; byte < 128; byte++) if (!(windows && byte === 0x1a)) bytes.set(String.fromCharCode(byte), byte)
  if (windows) bytes.set("\uFFFD", 0x1a)
  return { upper, bytes, windows, mac: name === "macintosh" }
}

const LATIN1 = charmap(Array.from({ length: 128 }, (_, i) => String.fromCharCode(128 + i)))
const named = (name: string): Charmap => charmap(upperHalf(name), name)
const WINDOWS_1252 = named("windows-1252")
const windows = [
  WINDOWS_1252,
  ...["windows-1251", "windows-1250", "windows-1253", "windows-1254", "windows-1257"].map(named)
]
const charmaps = [LATIN1, ...windows, named("iso-8859-2"), named("macintosh"), charmap(Array.from(CP437))]

/** Bytes as a string of characters 0 to FF, on which regular expressions work. */
const encode = (text: string, { bytes }: Charmap): string | undefined => {
  let encoded = ""
  for (const character of text) {
    const byte = bytes.get(character)
    if (byte === undefined) return undefined
    encoded += String.fromCharCode(byte)
  }
  return encoded
}

/** "\u00E0 " at the end of a word: the no-break space that was its second byte has become a plain one. */
const A_GRAVE = /\xC3 (?! |quele|quela|quilo|s )/g

/** UTF-8 whose byte A0 has become a space. */
const SPACED =
  /[\xC2\xC3\xC5\xCE\xD0\xD9] |[\xE2\xE3] [\x80-\x84\x86-\x9F\xA1-\xBF]|[\xE0-\xE3][\x80-\x84\x86-\x9F\xA1-\xBF] |\xF0 [\x80-\xBF]{2}|\xF0[\x80-\xBF] [\x80-\xBF]|\xF0[\x80-\xBF]{2} /g

const restoreSpaces = (encoded: string): string =>
  encoded.search(SPACED) < 0
    ? encoded
    : encoded.replace(A_GRAVE, "\xC3\xA0 ").replace(SPACED, (bytes) => bytes.replace(" ", "\xA0"))

/** UTF-8 some of whose bytes were replaced by 1A or a question mark. */
const LOSSY =
  // oxlint-disable-next-line no-control-regex -- byte 1A is what is looked for
  /[\xC2-\xDF]\x1A|[\xC2\xC3]\?|\xED[\xA0-\xAF][\x1A?]\xED[\xB0-\xBF][\x1A?\x80-\xBF]|\xED[\xA0-\xAF][\x1A?\x80-\xBF]\xED[\xB0-\xBF][\x1A?]|[\xE0-\xEF][\x1A?][\x1A\x80-\xBF]|[\xE0-\xEF][\x1A\x80-\xBF][\x1A?]|[\xF0-\xF4][\x1A?][\x1A\x80-\xBF]{2}|[\xF0-\xF4][\x1A\x80-\xBF][\x1A?][\x1A\x80-\xBF]|[\xF0-\xF4][\x1A\x80-\xBF]{2}[\x1A?]|\x1A/g

const REPLACEMENT_BYTES = "\xEF\xBF\xBD"

/** Java's and Oracle's UTF-8: surrogate pairs as two times three bytes, zero as two. */
const plainUtf8 = (encoded: string): string =>
  encoded
    .replace(
      /\xED([\xA0-\xAF])([\x80-\xBF])\xED([\xB0-\xBF])([\x80-\xBF])/g,
      (_, a: string, b: string, c: string, d: string) => {
        const six = (byte: string): number => byte.charCodeAt(0) & 0x3f
        const high = 0xd000 | (six(a) << 6) | six(b)
        const low = 0xd000 | (six(c) << 6) | six(d)
        return String.fromCharCode(...new TextEncoder().encode(String.fromCharCode(high, low)))
      }
    )
    .replaceAll("\xC0\x80", "\0")

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decodeUtf8 = (encoded: string): string | undefined => {
  try {
    return strict.decode(Uint8Array.from(plainUtf8(encoded), (character) => character.charCodeAt(0)))
  } catch {
    return undefined
  }
}

const reread = (text: string): string | undefined => {
  for (const map of charmaps) {
    const encoded = encode(text, map)
    if (encoded === undefined) continue
    const spaced = map.mac ? encoded : restoreSpaces(encoded)
    const decoded = decodeUtf8(map.windows ? spaced.replace(LOSSY, REPLACEMENT_BYTES) : spaced)
    if (decoded !== undefined) return decoded
  }
  return undefined
}

/** All that bytes from `first` to `last` are in Latin-1 and Windows' encodings, as the inside of a character class. */
const charactersOf = (first: number, last: number, except = ""): string => {
  const all = [LATIN1, ...windows].flatMap(({ upper }) => upper.slice(first - 128, last - 127))
  return [...new Set(all)].filter((character) => !except.includes(character)).join("")
}

/** Dashes, quotes, bullet and ellipsis: they stand for themselves beside garbled text. */
const ORDINARY = "\u2013\u2014\u2015\u2018\u2019\u201A\u201C\u201D\u201E\u2022\u2026"

const next = `[${charactersOf(0x80, 0xbf)} ]`
const GARBLED_PARTS = new RegExp(
  `(?<![${charactersOf(0x80, 0xbf, ORDINARY)}])(?:[${charactersOf(0xc2, 0xdf)}]${next}|[${charactersOf(0xe0, 0xef)}]${next}{2}|[\u0111\u00F0\u011F\u00F3\u0161\u03C0\u03C3\u0440\u0443]${next}{3})+`,
  "gu"
)

const fixParts = (text: string): string =>
  text.replace(GARBLED_PARTS, (part) => (part.length < text.length && looksGarbled(part) ? fixEncoding(part) : part))

/** Control characters 80 to 9F are what Windows-1252 has there. */
export const fixControls = (text: string): string =>
  text.replace(/[\x80-\x9F]/g, (character) => WINDOWS_1252.upper[character.charCodeAt(0) - 128]!)

const fixOnce = (text: string): string => {
  if (!looksGarbled(text)) return text
  const whole = reread(text)
  if (whole !== undefined) return whole
  const mended = fixParts(text)
  return mended === text ? fixControls(text) : mended
}

export const fixEncoding = (text: string): string => {
  const fixed = fixOnce(text)
  return fixed === text ? text : fixEncoding(fixed)
}
