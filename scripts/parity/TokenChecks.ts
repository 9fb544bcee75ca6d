/** Token ids: of every expected text, cut to the length and whole, and back to text; and of the rows that a model was given. */
import type { HostTensors } from "@bootlace/engine"
import type { Tokenizer } from "@bootlace/models"
import { same } from "./Check.ts"
import type { Check } from "./Check.ts"
import { readJson } from "./Stored.ts"

/** transformers' words, or open_clip's: `ids` are padded, `encode` has neither start nor end. */
interface ExpectedText {
  readonly text: string
  readonly input_ids?: ReadonlyArray<number>
  readonly attention_mask?: ReadonlyArray<number>
  readonly unpadded_untruncated?: ReadonlyArray<number>
  readonly ids?: ReadonlyArray<number>
  readonly encode?: ReadonlyArray<number>
  readonly decoded?: string
}

const WHOLE = 1_000_000

const padded = (tokenizer: Tokenizer, text: string, length: number): ReadonlyArray<number> => {
  const ids = [...tokenizer.encode(text, length)]
  return [...ids, ...Array<number>(length - ids.length).fill(tokenizer.pad)]
}

const mask = (tokenizer: Tokenizer, text: string, length: number): ReadonlyArray<number> => {
  const count = tokenizer.encode(text, length).length
  return Array.from({ length }, (_, i) => (i < count ? 1 : 0))
}

const differs = (text: string, actual: ReadonlyArray<number>, expected: ReadonlyArray<number>): string | undefined =>
  actual.join() === expected.join()
    ? undefined
    : `${JSON.stringify(text.slice(0, 40))}: got ${actual.slice(0, 12).join()}, expected ${expected.slice(0, 12).join()}`

const ofTexts = (tokenizer: Tokenizer, texts: ReadonlyArray<ExpectedText>): ReadonlyArray<Check> => {
  const check = (
    name: string,
    wanted: (text: ExpectedText) => ReadonlyArray<number> | undefined,
    actual: (text: string, length: number) => ReadonlyArray<number>
  ): ReadonlyArray<Check> => {
    const known = texts.filter((text) => wanted(text) !== undefined)
    if (known.length === 0) return []
    const one = (text: ExpectedText) => differs(text.text, actual(text.text, wanted(text)!.length), wanted(text)!)
    return [same(`${name}, ${known.length} texts`, known, one)]
  }
  const whole = (text: string): ReadonlyArray<number> => [...tokenizer.encode(text, WHOLE)]
  const decoded = texts.filter((text) => text.decoded !== undefined)
  const back = (text: ExpectedText): string | undefined => {
    const ids = text.unpadded_untruncated ?? text.encode ?? whole(text.text)
    // open_clip leaves a space behind the last word.
    const [actual, expected] = [tokenizer.decode(ids), text.decoded!.trimEnd()]
    return actual === expected ? undefined : `got ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`
  }
  return [
    ...check(
      "token ids",
      (text) => text.input_ids ?? text.ids,
      (text, length) => padded(tokenizer, text, length)
    ),
    ...check(
      "attention mask",
      (text) => text.attention_mask,
      (text, length) => mask(tokenizer, text, length)
    ),
    ...check("token ids, untruncated", (text) => text.unpadded_untruncated, whole),
    ...check(
      "token ids, untruncated",
      (text) => text.encode,
      (text) => whole(text).slice(1, -1)
    ),
    ...(decoded.length > 0 ? [same(`decoded texts, ${decoded.length} texts`, decoded, back)] : [])
  ]
}

/** Rows of ids that a model was given: of the texts that the case lists, else of whichever text of the collection fits. */
const ofRows = (
  tokenizer: Tokenizer,
  folder: string,
  collection: string | undefined,
  expected: HostTensors
): ReadonlyArray<Check> => {
  const rows = expected["input_ids"] ?? expected["tokens"]
  if (rows === undefined || rows.shape.length !== 2 || collection === undefined) return []
  const [count, length] = rows.shape as [number, number]
  const listed = readJson<{ readonly texts?: ReadonlyArray<string> }>(folder, "inputs.json")?.texts
  const texts = listed?.slice(0, count) ?? readJson<ReadonlyArray<string>>(collection, "texts.json") ?? []
  if (texts.length === 0) return []
  const starts = [tokenizer.start, tokenizer.dec, tokenizer.enc]
  // BLIP puts [DEC] or [ENC] in the place of [CLS].
  const idsOf = (row: number): string => {
    const ids = [...rows.data.subarray(row * length, (row + 1) * length)]
    return [starts.includes(ids[0]!) ? tokenizer.start : ids[0], ...ids.slice(1)].join()
  }
  const encoded = texts.map((text) => padded(tokenizer, text, length).join())
  const one = (row: number): string | undefined => {
    const found = listed === undefined ? encoded.includes(idsOf(row)) : encoded[row] === idsOf(row)
    return found ? undefined : `row ${row}: ${idsOf(row).slice(0, 60)}`
  }
  const all = Array.from({ length: count }, (_, row) => row)
  return [same(`token rows of the model, ${count} rows`, all, one)]
}

export const tokenChecks = (
  tokenizer: Tokenizer,
  folder: string,
  collection: string | undefined,
  expected: HostTensors
): ReadonlyArray<Check> => [
  ...ofTexts(tokenizer, readJson<ReadonlyArray<ExpectedText>>(folder, "expected_tokens.json") ?? []),
  ...ofRows(tokenizer, folder, collection, expected)
]
