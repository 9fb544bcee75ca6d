/** The `matrix:` of a file: axes, and which nodes stand in which of them. */
import type { Finding, Span } from "../Diagnostic.ts"
import { unknownName } from "../Nearest.ts"
import { mentions } from "./Substitute.ts"
import { type Tree, type TreeMap, spoken } from "./Tree.ts"

export interface Axis {
  readonly name: string
  readonly key: Span
  /** The variants by id, in declared order. */
  readonly values: ReadonlyMap<string, Tree>
}

/** The axis of this name is also the seed of the operators that draw random numbers. */
export const seedAxis = "seed"

const idPattern = /^[\w.+-]+$/

const valuesOf = (name: string, tree: Tree, findings: Array<Finding>): Map<string, Tree> => {
  const values = new Map<string, Tree>()
  const wrong = (span: Span, label: string): void => {
    findings.push({ code: "V107", message: "wrong value", span, label })
  }
  const add = (id: string, value: Tree, span: Span): void => {
    if (!idPattern.test(id))
      wrong(span, `a variant's id has letters, digits, and . + - _ only; name the value: { ${name}: { id: value } }`)
    else if (values.has(id)) wrong(span, `${id} already stands in this axis`)
    else if (
      name === seedAxis &&
      !(value._tag === "Scalar" && Number.isSafeInteger(value.value) && String(value.value) === id)
    ) {
      wrong(value.span, "seeds are a list of whole numbers")
    } else values.set(id, value)
  }
  if (tree._tag === "Map") for (const [id, { key, value }] of tree.entries) add(id, value, key)
  else if (tree._tag === "List") {
    for (const item of tree.items) {
      if (item._tag === "Scalar") add(String(item.value), item, item.span)
      else wrong(item.span, `a list or a map needs a name: ${name}: { id: [...] }`)
    }
  } else wrong(tree.span, `expected a list of values or a map id: value, got ${spoken(tree.value)}`)
  const empty = tree._tag === "List" ? tree.items.length === 0 : tree._tag === "Map" && tree.entries.size === 0
  if (empty) wrong(tree.span, "an axis needs at least one value")
  return values
}

const chosen = (
  name: string,
  key: Span,
  values: Map<string, Tree>,
  given: string,
  findings: Array<Finding>
): Map<string, Tree> => {
  const kept = new Map<string, Tree>()
  for (const id of given.split(",").map((part) => part.trim())) {
    const value = values.get(id)
    if (value !== undefined) kept.set(id, value)
    else {
      const label = `axis ${name} has: ${[...values.keys()].join(", ")}`
      findings.push(
        unknownName(
          {
            code: "V109",
            message: `wrong value in --set ${name}=${given}`,
            span: key,
            label
          },
          id,
          values.keys()
        )
      )
    }
  }
  return kept
}

/** Axes in declared order; `--set axis=id` or `axis=id,id` keeps only these variants. */
export const readMatrix = (
  tree: TreeMap | undefined,
  set: ReadonlyMap<string, string>,
  findings: Array<Finding>
): ReadonlyArray<Axis> =>
  [...(tree?.entries ?? [])].map(([name, { key, value }]) => {
    const values = valuesOf(name, value, findings)
    const given = set.get(name)
    return { name, key, values: given === undefined ? values : chosen(name, key, values, given, findings) }
  })

/** What the matrix has to know of a node: its text, and the names of nodes it reads in any variant. */
export interface MatrixNode {
  readonly tree: Tree
  readonly random: boolean
}

/** Every text in a tree that may be a reference, cut to its node: what follows the first dot or bracket is a port, column or variant. */
const textsOf = (tree: Tree, found: Set<string>): void => {
  if (tree._tag === "List") tree.items.forEach((item) => textsOf(item, found))
  else if (tree._tag === "Map") for (const { value } of tree.entries.values()) textsOf(value, found)
  else if (typeof tree.value === "string") found.add(tree.value.split(/[.[/]/, 1)[0]!)
}

const exactVariant = /^[\w-]+\[[^\]]*\]/

/** The parts of a node that hold references. */
const wiring = (tree: Tree): ReadonlyArray<Tree> => {
  if (tree._tag !== "Map") return []
  return ["in", "model", "init", "vocabulary"].flatMap((key) => tree.entries.get(key)?.value ?? [])
}

const withoutExact = (tree: Tree): Tree => {
  if (tree._tag === "List") return { ...tree, items: tree.items.map(withoutExact) }
  if (tree._tag === "Map") {
    return { ...tree, entries: new Map([...tree.entries].map(([k, e]) => [k, { ...e, value: withoutExact(e.value) }])) }
  }
  return typeof tree.value === "string" && exactVariant.test(tree.value) ? { ...tree, value: null } : tree
}

/**
 * The axes each node stands in: those it mentions, `seed` if it is random, and those of every node it reads in some
 * variant. A fixed point, so that cycles (reported later) end too.
 */
export const axesOf = (
  nodes: ReadonlyMap<string, MatrixNode>,
  axes: ReadonlyArray<Axis>
): ReadonlyMap<string, ReadonlySet<string>> => {
  const byName = new Map(axes.map((axis) => [axis.name, axis]))
  const reads = new Map<string, ReadonlySet<string>>()
  const standing = new Map<string, Set<string>>()
  for (const [name, { tree, random }] of nodes) {
    const own = new Set([...mentions(tree)].filter((mention) => byName.has(mention)))
    if (random && byName.has(seedAxis)) own.add(seedAxis)
    const texts = new Set<string>()
    for (const part of wiring(tree)) {
      textsOf(withoutExact(part), texts)
      for (const mention of mentions(part))
        for (const value of byName.get(mention)?.values.values() ?? []) textsOf(withoutExact(value), texts)
    }
    reads.set(name, texts)
    standing.set(name, own)
  }
  for (let changed = true; changed;) {
    changed = false
    for (const [name, own] of standing) {
      const before = own.size
      for (const read of reads.get(name)!) for (const axis of standing.get(read) ?? []) own.add(axis)
      changed ||= own.size > before
    }
  }
  return standing
}

/** Every combination of the values of these axes, in declared order; one empty combination where there are none. */
export const variantsOf = (axes: ReadonlyArray<Axis>): ReadonlyArray<ReadonlyMap<string, string>> =>
  axes.reduce<ReadonlyArray<ReadonlyMap<string, string>>>(
    (variants, axis) =>
      variants.flatMap((variant) => [...axis.values.keys()].map((id) => new Map([...variant, [axis.name, id]]))),
    [new Map()]
  )
