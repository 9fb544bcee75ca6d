/** The mistakes that every section of a file can hold. */
import type { Finding } from "../Diagnostic.ts"
import { unknownName } from "../Nearest.ts"
import { type Tree, type TreeMap, spoken, valueOf } from "./Tree.ts"

export const wrongValue = (tree: Tree, expected: string): Finding => {
  const given = spoken(valueOf(tree))
  const label = `expected ${expected}, got ${given}`
  return { code: "V107", message: "wrong value", span: tree.span, label, expected, given }
}

/** One for each key of `map` that isn't `known`. */
export const unknownKeys = (map: TreeMap, what: string, known: ReadonlyArray<string>): ReadonlyArray<Finding> =>
  [...map.entries].flatMap(([name, { key }]) => {
    if (known.includes(name)) return []
    const at = { code: "V106", message: "unknown key", span: key, label: `${what} has: ${known.join(", ")}` }
    return [unknownName(at, name, known)]
  })
