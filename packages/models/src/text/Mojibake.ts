/**
 * Does a text look like UTF-8 that was read in another encoding ("caf\u00C3\u00A9")? The rules of ftfy 6 (Speer 2019).
 *
 * About 400 characters come out of such an accident. They are sorted into classes, and some neighbours of classes hardly ever
 * stand together on purpose.
 */

/** Classes of characters, as the inside of a character class. */
const of = {
  /** Spaces, dashes and quotes that stand anywhere. */
  common: "\\u00A0\\u00AD\\u00B4\\u00B7\\u2013-\\u2015\\u2019\\u2026",
  /** Control characters 80 to 9F, which nobody writes. */
  c1: "\\u0080-\\u009F",
  /** Marks that hardly occur but in garbled text. */
  bad: "\\u00A4\\u00A6\\u00A8\\u00AA\\u00AC\\u00AF\\u00B8\\u00BA\\u0192\\u02C6\\u02C7\\u02D8\\u02DB\\u02DC\\u2020\\u2021\\u2030\\u2310\\u25CA\\uFFFD",
  /** Pilcrow and section sign. */
  law: "\\u00A7\\u00B6",
  /** Currency signs. */
  currency: "\\u00A2\\u00A3\\u00A5\\u20A7\\u20AC",
  /** What opens a quotation or a sentence. */
  opening: "\\u00A1\\u00A9\\u00AB\\u00BF\\u0384\\u0385\\u2018\\u201A\\u201C\\u201E\\u2022\\u2039\\uF8FF",
  /** What closes one. */
  closing: "\\u00AE\\u00BB\\u02DD\\u201D\\u203A\\u2122",
  /** Signs that stand beside numbers. */
  numeric:
    "\\u00B1-\\u00B3\\u00B5\\u00B9\\u00BC-\\u00BE\\u00D7\\u00F7\\u2044\\u2116\\u2202\\u2206\\u220F\\u2211\\u221A\\u221E\\u2229\\u222B\\u2248\\u2260\\u2261\\u2264\\u2265",
  /** Letters that faces are drawn with. */
  face: "\\u00B0\\u00D2-\\u00D6\\u00D9-\\u00DC\\u00F2-\\u00F6\\u00F8-\\u00FC\\u014C\\u0150\\u016A\\u0172",
  /** Accented capitals. */
  upper:
    "\\u00C0-\\u00D1\\u00D8\\u00DC\\u00DD\\u0100\\u0102\\u0104\\u0106\\u010C\\u010E\\u0110\\u0112\\u0116\\u0118\\u011A\\u011E\\u0122\\u012A\\u0130\\u0136\\u0139\\u013B\\u013D\\u0141\\u0143\\u0145\\u0147\\u0152\\u0158\\u015A\\u015E\\u0160\\u0162\\u0164\\u016E\\u0170\\u0178\\u0179\\u017B\\u017D\\u0490",
  /** Accented small letters and ligatures. */
  lower:
    "\\u00DF-\\u00F1\\u00FC\\u0101\\u0103\\u0105\\u0107\\u010D\\u010F\\u0111\\u0113\\u0117\\u0119\\u011B\\u011F\\u0123\\u012B\\u012F\\u0137\\u013A\\u013C\\u013E\\u0142\\u0153\\u0155\\u015B\\u015F\\u0161\\u0165\\u017A\\u017C\\u017E\\u0491\\uFB01\\uFB02",
  /** Capitals of Greek and Cyrillic. */
  upperOther: "\\u00DE\\u0386\\u0388-\\u038A\\u038C\\u038E\\u038F\\u0391-\\u03AB\\u0401-\\u042F",
  /** Small letters of Greek and Cyrillic. */
  lowerOther: "\\u03AC-\\u03C9\\u0430-\\u045F",
  /** Line drawing. */
  box: "\\u2502\\u250C\\u2510\\u2518\\u251C\\u2524\\u252C\\u253C\\u2550-\\u256C\\u2580\\u2584\\u2588\\u258C\\u2590-\\u2593"
} as const

const { common, c1, bad, law, currency, opening, closing, numeric, face, upper, lower, upperOther, lowerOther, box } =
  of

const marks = `${box}${closing}${currency}${numeric}`
const strange = `${lower}${upper}${box}${opening}${closing}${currency}${numeric}${law}`
const arabic = `[\\u00D8\\u00D9][${common}${currency}${bad}${numeric}${opening}\\u0178\\u0160\\u00AE\\u00B0\\u00B5\\u00BB]`
const cyrillic = "[\\u0412\\u0413\\u0420\\u0421]"
const greek = "[\\u0392\\u0393\\u039E\\u039F]"
const WORD = "[\\p{L}\\p{N}_]"

/** Neighbours that give garbled text away, whatever the encoding it was read in. */
const byClass = [
  `[${c1}]`,
  `[${bad}${strange}][${bad}]`,
  `[a-zA-Z][${lowerOther}${upperOther}][${bad}]`,
  `[${bad}][${strange}]`,
  `[${lower}${lowerOther}${marks}][${upper}]`,
  `[${marks}][${lower}]`,
  `[${lower}${box}${closing}][${currency}]`,
  `\\s[${upper}][${currency}]`,
  `[${upper}${box}][${numeric}${law}]`,
  `[${lower}${upper}${box}${currency}${closing}][${opening}][${numeric}]`,
  `[${lower}${upper}${currency}${numeric}${box}${law}][${closing}][${opening}]`,
  `[${currency}${numeric}${box}][${opening}]`,
  `[a-z][${upper}][${opening}${currency}]`,
  `[${box}][${face}]`,
  `[${lower}${upper}${currency}${numeric}${opening}${closing}${law}][${box}]`,
  `[${box}][${closing}]`,
  `[${lower}${upper}][${opening}${closing}]${WORD}`,
  `[${upper}]\\u00B0`
]

/** Sequences of one encoding each. */
const byEncoding = [
  // Windows-1252: oe ligatures, two-byte letters, multiplication sign, Arabic, South Asian scripts, a with grave or acute.
  "[\\u0152\\u0153][^A-Za-z]",
  `[\\u00C2\\u00C3\\u00CE\\u00D0][\\u20AC\\u0153\\u0160\\u0161\\u00A2\\u00A3\\u0178\\u017E\\u00A0\\u00AD\\u00AE\\u00A9\\u00B0\\u00B7\\u00BB${opening}${closing}\\u2013\\u2014\\u00B4]`,
  "\\u00D7[\\u00B2\\u00B3]",
  `${arabic}${arabic}`,
  "\\u00E0[\\u00B2\\u00B5\\u00B9\\u00BC\\u00BD\\u00BE]",
  "\\u00C3[\\u00A0\\u00A1]",
  "[a-z]\\s?[\\u00C3\\u00C2] ",
  "^[\\u00C3\\u00C2] ",
  `[a-z.,?!${closing}]\\u00C2[ ${opening}${closing}]`,
  // Mac Roman.
  "\\u221A[\\u00B1\\u2202\\u2020\\u2260\\u00AE\\u2122\\u00B4\\u2264\\u2265\\u00A5\\u00B5\\u00F8]",
  "\\u2248[\\u00B0\\u00A2]",
  "\\u201A\\u00C4[\\u00EC\\u00EE\\u00EF\\u00F2\\u00F4\\u00FA\\u00F9\\u00FB\\u2020\\u00B0\\u00A2\\u03C0]",
  "\\u201A[\\u00E2\\u00F3][\\u00E0\\u00E4\\u00B0\\u00EA]",
  // Windows-1251, once and on top of Windows-1252.
  "\\u0432\\u0402",
  `${cyrillic}[${c1}${bad}${opening}${closing}${currency}\\u00B0\\u00B5]${cyrillic}`,
  "\\u0413\\u045E\\u0412\\u0402\\u0412.[A-Za-z ]",
  // Windows-1253 and Windows-1257.
  "\\u03B2\\u20AC[\\u2122\\u00A0\\u0386\\u00AD\\u00AE\\u00B0]",
  `${greek}[${c1}${bad}${opening}${closing}${currency}\\u00B0]${greek}`,
  "\\u0101\\u20AC"
]

const GARBLED = new RegExp([...byClass, ...byEncoding].join("|"), "u")

export const looksGarbled = (text: string): boolean => GARBLED.test(text)
