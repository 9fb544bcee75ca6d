/** The whole file: its sections, params put in, the matrix spread out. What comes out are drafts, one for each node and variant. */
import { type Draft, namePattern, nameRule, type Place, parseId, variantId, wordsFor } from "../check/Draft.ts"
import type { Finding, Span } from "../Diagnostic.ts"
import { didYouMean } from "../Nearest.ts"
import type { Registry } from "../Operator.ts"
import { type Axis, axesOf, readMatrix, seedAxis, variantsOf } from "./Matrix.ts"
import { readParams } from "./Params.ts"
import { readModel, readNode } from "./ReadNode.ts"
import { yamlLimits } from "./ReadTree.ts"
import { substitute } from "./Substitute.ts"
import { type Tree, type TreeEntry, type TreeMap, spanAt, spoken, valueOf } from "./Tree.ts"

export interface ReadDocument {
  readonly name: string
  readonly seed: number
  readonly drafts: ReadonlyArray<Draft>
  /** Sections and nodes that could not be read at all: references to them aren't reported again. */
  readonly lost: ReadonlySet<string>
}

const sections = ["version", "name", "description", "seed", "params", "models", "matrix", "nodes"] as const

/** The operator that `models:` entries become. */
export const modelOperator = "InitModel"

const section = (root: TreeMap, name: (typeof sections)[number], findings: Array<Finding>): TreeMap | undefined => {
  const tree = root.entries.get(name)?.value
  if (tree === undefined || tree._tag === "Map") return tree
  if (tree._tag === "Scalar" && tree.value === null) return undefined
  findings.push({
    code: "V107",
    message: "wrong value",
    span: tree.span,
    label: `${name} is a map from name to what it names`
  })
  return undefined
}

const checkSections = (root: TreeMap, findings: Array<Finding>): void => {
  for (const [key, entry] of root.entries) {
    if ((sections as ReadonlyArray<string>).includes(key)) continue
    const label = `a pipeline has: ${sections.join(", ")}`
    findings.push({
      code: "V106",
      message: "unknown key",
      span: entry.key,
      label,
      given: key,
      ...didYouMean(key, sections)
    })
  }
  const version = root.entries.get("version")
  const start: Span = { start: root.span.start, end: root.span.start + 1 }
  if (version === undefined)
    findings.push({ code: "V108", message: "missing key", span: start, label: "a pipeline starts with version: 1" })
  else if (valueOf(version.value) !== 1) {
    findings.push({
      code: "V107",
      message: "wrong value",
      span: version.value.span,
      label: "this release reads version: 1"
    })
  }
  if (!root.entries.has("nodes"))
    findings.push({ code: "V108", message: "missing key", span: start, label: "a pipeline has nodes: { ... }" })
}

/** Params, axes, nodes and models: each name well formed, and no two alike. */
const checkNames = (parts: ReadonlyArray<readonly [string, TreeMap | undefined]>, findings: Array<Finding>): void => {
  const first = new Map<string, string>()
  for (const [kind, map] of parts) {
    for (const [name, { key }] of map?.entries ?? []) {
      const taken = first.get(name)
      if (!namePattern.test(name) && !(kind === "node" && parseId(name) !== undefined)) {
        findings.push({ code: "V118", message: "bad name", span: key, label: nameRule, given: name })
      } else if (taken !== undefined && !(kind === "axis" && name === seedAxis)) {
        findings.push({
          code: "V102",
          message: "name used twice",
          span: key,
          label: `${name} is already a ${taken}`,
          given: name
        })
      } else first.set(name, kind)
    }
  }
}

const scalarOf = (
  root: TreeMap,
  key: string,
  params: ReadonlyMap<string, Tree>,
  context: Context
): Tree | undefined => {
  const entry = root.entries.get(key)
  return entry === undefined ? undefined : substitute(entry.value, { ...context, names: params })
}

interface Context {
  readonly findings: Array<Finding>
  readonly broken: Array<Span>
}

interface Raw {
  readonly tree: Tree
  readonly model: boolean
  readonly random: boolean
}

/** `model:` and `init:` are inputs that stand beside `in:`. */
const placeIn =
  (tree: Tree, id: string): Place =>
  (path, part) => {
    const [head, second] = path
    const map = tree._tag === "Map" ? tree.entries : new Map<string, TreeEntry>()
    const wired = map.get("in")?.value
    const inside = wired?._tag === "Map" && wired.entries.has(String(second))
    const beside = head === "in" && second !== undefined && !inside && map.has(String(second))
    const written = beside ? path.slice(1) : path
    const known = head === undefined || map.has(String(written[0]))
    return { at: wordsFor(id, path), span: known ? spanAt(tree, written, part) : spanAt(tree, ["op"]) }
  }

const readVariant = (
  name: string,
  raw: Raw,
  variant: ReadonlyMap<string, string>,
  axes: ReadonlyArray<Axis>,
  registry: Registry,
  context: Context
): Draft | undefined => {
  const names = new Map(
    axes.filter((axis) => variant.has(axis.name)).map((axis) => [axis.name, axis.values.get(variant.get(axis.name)!)!])
  )
  const tree = substitute(raw.tree, { ...context, names })
  const operator = registry[modelOperator]
  const spec =
    raw.model && operator !== undefined
      ? readModel(name, modelOperator, operator, tree, context.findings)
      : readNode(name, tree, context.findings)
  if (spec === undefined) return undefined
  const spelled = parseId(name)
  const id = variantId(spelled?.name ?? name, { ...spelled?.axes, ...Object.fromEntries(variant) })
  return { id, spec, place: placeIn(tree, id) }
}

const isRandom = (tree: Tree, registry: Registry): boolean => {
  const op = tree._tag === "Map" ? tree.entries.get("op")?.value : undefined
  const name = op?._tag === "Scalar" ? String(op.value) : ""
  return Object.hasOwn(registry, name) && registry[name]!.random === true
}

const readSeed = (tree: Tree | undefined, findings: Array<Finding>): number => {
  const seed = tree === undefined ? 0 : valueOf(tree)
  if (Number.isSafeInteger(seed) && (seed as number) >= 0) return seed as number
  findings.push({
    code: "V107",
    message: "wrong value",
    span: tree!.span,
    label: `expected a whole number from 0, got ${spoken(seed)}`
  })
  return 0
}

const readName = (root: TreeMap, tree: Tree | undefined, findings: Array<Finding>): string => {
  const name = tree === undefined ? undefined : valueOf(tree)
  if (typeof name === "string" && /^[\w][\w.-]{0,99}$/.test(name)) return name
  const start = { start: root.span.start, end: root.span.start + 1 }
  findings.push(
    tree === undefined
      ? {
          code: "V108",
          message: "missing key",
          span: start,
          label: "a pipeline has a name: its runs are listed under it"
        }
      : {
          code: "V107",
          message: "wrong value",
          span: tree.span,
          label: "a pipeline's name has letters, digits, and . _ - only"
        }
  )
  return "pipeline"
}

const checkSet = (set: ReadonlyMap<string, string>, known: ReadonlyArray<string>, findings: Array<Finding>): void => {
  for (const name of set.keys()) {
    if (known.includes(name)) continue
    const label = known.length === 0 ? "the pipeline declares no params and no matrix" : `declared: ${known.join(", ")}`
    findings.push({
      code: "V109",
      message: `unknown param in --set ${name}=${set.get(name)}`,
      at: "command line",
      label,
      given: name,
      ...didYouMean(name, known)
    })
  }
}

/** Every model and node with its params put in, and what the matrix needs to know of it. */
const rawNodes = (
  root: TreeMap,
  params: ReadonlyMap<string, Tree>,
  axes: ReadonlyArray<Axis>,
  registry: Registry,
  context: Context
): Map<string, Raw> => {
  const raw = new Map<string, Raw>()
  const later = new Set(axes.map((axis) => axis.name))
  for (const [kind, model] of [
    ["models", true],
    ["nodes", false]
  ] as const) {
    for (const [name, { value }] of section(root, kind, context.findings)?.entries ?? []) {
      if (raw.has(name)) continue
      const tree = substitute(value, { ...context, names: params, later })
      raw.set(name, {
        tree,
        model,
        random: model ? registry[modelOperator]?.random === true : isRandom(tree, registry)
      })
    }
  }
  return raw
}

/** Reads the sections of a file. Findings and places without a value are added to `context`. */
export const readDocument = (
  root: TreeMap,
  registry: Registry,
  set: ReadonlyMap<string, string>,
  context: Context
): ReadDocument => {
  const { findings } = context
  checkSections(root, findings)
  const part = (name: (typeof sections)[number]): TreeMap | undefined => section(root, name, [])
  checkNames(
    [
      ["param", part("params")],
      ["axis", part("matrix")],
      ["model", part("models")],
      ["node", part("nodes")]
    ],
    findings
  )
  const params = readParams(section(root, "params", findings), set, findings)
  const matrix = section(root, "matrix", findings)
  const matrixTree = matrix === undefined ? undefined : (substitute(matrix, { ...context, names: params }) as TreeMap)
  const axes = readMatrix(matrixTree, set, findings)
  checkSet(set, [...params.keys(), ...axes.map((axis) => axis.name)], findings)
  const seed = readSeed(scalarOf(root, "seed", params, context), findings)
  const name = readName(root, scalarOf(root, "name", params, context), findings)
  const raw = rawNodes(root, params, axes, registry, context)
  const standing = axesOf(raw, axes)
  const drafts: Array<Draft> = []
  const lost = new Set<string>()
  for (const [id, node] of raw) {
    const own = axes.filter((axis) => standing.get(id)!.has(axis.name))
    const count = own.reduce((product, axis) => product * axis.values.size, 1)
    if (drafts.length + count > yamlLimits.nodes) {
      const span = spanAt(node.tree, [])
      findings.push({
        code: "V120",
        message: "too many nodes",
        span,
        label: `the matrix makes more than ${yamlLimits.nodes} nodes`
      })
      break
    }
    for (const variant of variantsOf(own)) {
      const draft = readVariant(id, node, variant, axes, registry, context)
      if (draft === undefined) lost.add(id)
      else drafts.push(draft)
    }
  }
  return { name, seed, drafts, lost }
}
