/** Counts of the n-grams of a sentence, one map for each n from 1 to `order`; a key is its words joined by spaces. */
export type Ngrams = ReadonlyArray<ReadonlyMap<string, number>>

export const ngrams = (sentence: ReadonlyArray<string>, order: number): Ngrams =>
  Array.from({ length: order }, (_, below) => {
    const counts = new Map<string, number>()
    for (let end = below + 1; end <= sentence.length; end++) {
      const key = sentence.slice(end - below - 1, end).join(" ")
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    return counts
  })
