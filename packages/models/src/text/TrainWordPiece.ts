/**
 * A WordPiece vocabulary from word counts, as the `tokenizers` library trains one (Sennrich et al. 2016 on "##" pieces).
 *
 *   words with counts  ->  special tokens, alphabet, inner letters, then the pair that occurs most often joined, again and again
 *
 * Counts of two corpora add up, so they can be gathered in parts and in any order; equal counts are settled by the order of
 * the pieces, so the same counts give the same vocabulary.
 */
import { bertWords } from "./BertWords.ts"
import { SPECIAL_TOKENS } from "./SpecialTokens.ts"

export type WordCounts = ReadonlyMap<string, number>

/** Adds the words of a text. */
export const countWords = (counts: Map<string, number>, text: string): void => {
  for (const word of bertWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1)
}

export interface TrainWordPieceOptions {
  /** Pieces at most, special tokens included. */
  readonly vocab_size: number
  /** Pairs seen less often are never joined. Default 2. */
  readonly min_frequency?: number
  /** Characters kept, the most frequent first; words with others become [UNK]. Default 1000, or what leaves half for joins. */
  readonly limit_alphabet?: number
}

interface Word {
  pieces: Array<number>
  readonly count: number
}

interface Pair {
  readonly left: number
  readonly right: number
  readonly count: number
}

/** The higher count first, then the smaller pieces. */
const precedes = (a: Pair, b: Pair): boolean =>
  a.count !== b.count ? a.count > b.count : a.left !== b.left ? a.left < b.left : a.right < b.right

/** A binary heap of pairs. Old entries stay in it: whoever takes one compares its count with the present one. */
class PairHeap {
  private readonly items: Array<Pair> = []

  push(pair: Pair): void {
    let at = this.items.push(pair) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!precedes(pair, this.items[parent]!)) break
      this.items[at] = this.items[parent]!
      at = parent
    }
    this.items[at] = pair
  }

  pop(): Pair | undefined {
    const top = this.items[0]
    const last = this.items.pop()
    if (top === undefined || last === undefined || this.items.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.items.length) break
      if (child + 1 < this.items.length && precedes(this.items[child + 1]!, this.items[child]!)) child++
      if (!precedes(this.items[child]!, last)) break
      this.items[at] = this.items[child]!
      at = child
    }
    this.items[at] = last
    return top
  }
}

const SPAN = 2 ** 24
const keyOf = (left: number, right: number): number => left * SPAN + right

/** Characters by falling count, then by code point; the first `limit` of them, in order of code point. */
const alphabetOf = (words: ReadonlyArray<readonly [string, number]>, limit: number): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const [word, count] of words) for (const char of word) counts.set(char, (counts.get(char) ?? 0) + count)
  const byPoint = (a: string, b: string): number => a.codePointAt(0)! - b.codePointAt(0)!
  const byCount = [...counts].sort((a, b) => b[1] - a[1] || byPoint(a[0], b[0]))
  return byCount
    .slice(0, limit)
    .map(([char]) => char)
    .sort(byPoint)
}

/** Pieces by id, and words as ids, while pairs are being joined. */
class Joining {
  readonly pieces: Array<string> = [...SPECIAL_TOKENS]
  private readonly ids = new Map<string, number>(this.pieces.map((piece, id) => [piece, id]))
  private readonly words: ReadonlyArray<Word>
  private readonly counts = new Map<number, number>()
  private readonly places = new Map<number, Set<number>>()
  private readonly heap = new PairHeap()

  constructor(words: ReadonlyArray<readonly [string, number]>, alphabet: ReadonlyArray<string>) {
    for (const char of alphabet) this.idOf(char)
    const known = new Set(alphabet)
    const letters = (word: string): Array<string> => Array.from(word).map((char, i) => (i === 0 ? char : `##${char}`))
    const spelled = words.filter(([word]) => Array.from(word).every((char) => known.has(char)))
    for (const piece of [...new Set(spelled.flatMap(([word]) => letters(word)))].sort()) this.idOf(piece)
    this.words = spelled.map(([word, count]) => ({ pieces: letters(word).map((piece) => this.idOf(piece)), count }))
    const touched = new Set<number>()
    this.words.forEach((word, index) => {
      for (let i = 1; i < word.pieces.length; i++)
        touched.add(this.add(word.pieces[i - 1]!, word.pieces[i]!, index, word.count))
    })
    this.offer(touched)
  }

  private idOf(piece: string): number {
    const known = this.ids.get(piece)
    if (known !== undefined) return known
    this.ids.set(piece, this.pieces.length)
    return this.pieces.push(piece) - 1
  }

  private add(left: number, right: number, word: number, count: number): number {
    const key = keyOf(left, right)
    this.counts.set(key, (this.counts.get(key) ?? 0) + count)
    if (count > 0) {
      const places = this.places.get(key)
      if (places === undefined) this.places.set(key, new Set([word]))
      else places.add(word)
    }
    return key
  }

  private offer(keys: Iterable<number>): void {
    for (const key of keys)
      this.heap.push({ left: Math.floor(key / SPAN), right: key % SPAN, count: this.counts.get(key)! })
  }

  /** The pair that occurs most often now. */
  private best(): Pair | undefined {
    for (;;) {
      const pair = this.heap.pop()
      if (pair === undefined) return undefined
      const count = this.counts.get(keyOf(pair.left, pair.right)) ?? 0
      if (count === pair.count) return pair
      if (count > 0) this.heap.push({ ...pair, count })
    }
  }

  private joinIn(index: number, { left, right }: Pair, joined: number, touched: Set<number>): void {
    const word = this.words[index]!
    const before = word.pieces
    const after: Array<number> = []
    for (let i = 0; i < before.length; i++) {
      const here = before[i] === left && before[i + 1] === right
      after.push(here ? joined : before[i]!)
      if (here) i++
    }
    for (let i = 1; i < before.length; i++) this.add(before[i - 1]!, before[i]!, index, -word.count)
    for (let i = 1; i < after.length; i++) touched.add(this.add(after[i - 1]!, after[i]!, index, word.count))
    word.pieces = after
  }

  /** Joins the most frequent pair. false: none is frequent enough. */
  join(min_frequency: number): boolean {
    const pair = this.best()
    if (pair === undefined || pair.count < min_frequency) return false
    const joined = this.idOf(this.pieces[pair.left]! + this.pieces[pair.right]!.replace(/^##/, ""))
    const touched = new Set<number>()
    const key = keyOf(pair.left, pair.right)
    for (const index of this.places.get(key) ?? []) this.joinIn(index, pair, joined, touched)
    this.counts.delete(key)
    this.places.delete(key)
    touched.delete(key)
    this.offer(touched)
    return true
  }
}

/** The pieces in order of their ids: what a vocab.txt lists. At most `vocab_size` of them; fewer from few words. */
export const trainWordPiece = (counts: WordCounts, options: TrainWordPieceOptions): ReadonlyArray<string> => {
  const { vocab_size, min_frequency = 2 } = options
  const room = vocab_size - SPECIAL_TOKENS.length
  if (!(room >= 4)) throw new Error(`vocab_size: expected at least ${SPECIAL_TOKENS.length + 4}, got ${vocab_size}`)
  // Every character may stand first and inside a word, so an alphabet takes up to twice its size.
  const limit = Math.min(options.limit_alphabet ?? Math.min(1000, Math.ceil(room / 4)), Math.floor(room / 2))
  const words = [...counts].filter(([, count]) => count > 0).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const joining = new Joining(words, alphabetOf(words, limit))
  while (joining.pieces.length < vocab_size && joining.join(min_frequency)) continue
  return joining.pieces
}
