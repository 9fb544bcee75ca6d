/** A YAML document after reading: plain values that know where they stand in the text. */
import type { Span } from "../Diagnostic.ts"

export type Scalar = string | number | boolean | null

export type Tree =
  | { readonly _tag: "Scalar"; readonly value: Scalar; readonly span: Span }
  | { readonly _tag: "List"; readonly items: ReadonlyArray<Tree>; readonly span: Span }
  | TreeMap

export interface TreeMap {
  readonly _tag: "Map"
  readonly entries: ReadonlyMap<string, TreeEntry>
  readonly span: Span
}

export interface TreeEntry {
  readonly key: Span
  readonly value: Tree
}

/** The plain value. Keys such as `__proto__` never come this far. */
export const valueOf = (tree: Tree): unknown => {
  switch (tree._tag) {
    case "Scalar":
      return tree.value
    case "List":
      return tree.items.map(valueOf)
    case "Map":
      return Object.fromEntries([...tree.entries].map(([key, entry]) => [key, valueOf(entry.value)]))
  }
}

/** The span of what stands at `path`, or of the deepest thing on the way there; with `key`, of the last key itself. */
export const spanAt = (tree: Tree, path: ReadonlyArray<PropertyKey>, part?: "key"): Span => {
  let here = tree
  let span = tree.span
  for (const [depth, step] of path.entries()) {
    if (here._tag === "Map") {
      const entry = here.entries.get(String(step))
      if (entry === undefined) return span
      span = part === "key" && depth === path.length - 1 ? entry.key : entry.value.span
      here = entry.value
    } else if (here._tag === "List") {
      const item = here.items[Number(step)]
      if (item === undefined) return span
      span = item.span
      here = item
    } else return span
  }
  return span
}

/** A value in a sentence: short, and as JSON spells it. */
export const spoken = (value: unknown): string => {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === "object" && value !== null) return "a map"
  if (value === null || value === undefined) return "nothing"
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 37)}...` : text
}
