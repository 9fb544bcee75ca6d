/** Did you mean: the known name nearest to the one given, by edit distance (insert, delete, replace, swap neighbours). */
import type { Finding } from "./Diagnostic.ts"

const distance = (a: string, b: string): number => {
  let before: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1)
      row.push(best)
    }
    before = last
    last = row
  }
  return last[b.length]!
}

/** Names longer than this get no suggestion: nobody mistypes them, and the work grows with the square. */
const longest = 64

/** All letters of the short name in their order, the first one first: `img` for image, `match_prob` for match_probability. */
const abbreviates = (short: string, name: string): boolean => {
  if (short.length < 3 || short[0] !== name[0]) return false
  let at = 0
  for (const letter of name) if (letter === short[at]) at++
  return at === short.length
}

/**
 * The nearest of `known` within a third of the name's length, at least one edit; ties go to the one declared first. Else
 * one that the name abbreviates or begins with.
 */
export const nearest = (given: string, known: Iterable<string>): string | undefined => {
  if (given.length > longest) return undefined
  const within = Math.max(1, Math.floor(given.length / 3))
  let best: string | undefined
  let least = within + 1
  for (const name of known) {
    if (Math.abs(name.length - given.length) >= least) continue
    const edits = distance(given.toLowerCase(), name.toLowerCase())
    if (edits < least) {
      best = name
      least = edits
    }
  }
  return best ?? [...known].find((name) => abbreviates(given, name) || (name.length > 2 && given.startsWith(name)))
}

/** A hint line's words, or nothing where no name is near. */
export const didYouMean = (given: string, known: Iterable<string>, prefix = ""): { readonly hint?: string } => {
  const name = nearest(given, known)
  return name === undefined ? {} : { hint: `did you mean ${prefix}${name}?` }
}

/** A finding about a name that isn't known, with the one that may be meant; `prefix` stands before that one in the hint. */
export const unknownName = (finding: Finding, given: string, known: Iterable<string>, prefix?: string): Finding => ({
  ...finding,
  given,
  ...didYouMean(given, known, prefix)
})
