/** The whole file: its sections, params put in, the matrix spread out. What comes out are drafts, one for each node and variant. */
import { type Draft, type Place, parseId, variantId, wordsFor } from "../check/Draft.ts"
import type { Finding, Span } from "../Diagnostic.ts"
import type { Registry } from "../Operator.ts"
import type { Axes } from "../Plan.ts"
import { type Axis, axesOf, readMatrix, variantsOf } from "./Matrix.ts"
import { readParams } from "./Params.ts"
import { readModel, readNode } from "./ReadNode.ts"
import { yamlLimits } from "./ReadTree.ts"
import { checkSet, type Maps, readName, readSections, readSeed } from "./Sections.ts"
import { substitute } from "./Substitute.ts"
import { type Tree, type TreeEntry, type TreeMap, spanAt } from "./Tree.ts"

export interface ReadDocument {
  readonly name: string
  readonly seed: number
  readonly axes: Axes
  readonly drafts: ReadonlyArray<Draft>
  /** Nodes that could not be read at all: references to them aren't reported again. */
  readonly lost: ReadonlySet<string>
}

/** The operator that `models:` entries become. */
export const modelOperator = "InitModel"

interface Context {
  readonly registry: Registry
  readonly findings: Array<Finding>
  /** Places whose value is missing because of a mistake already found. */
  readonly broken: Array<Span>
}

interface Raw {
  readonly tree: Tree
  readonly model: boolean
  readonly random: boolean
}

const isRandom = (tree: Tree, registry: Registry): boolean => {
  const op = tree._tag === "Map" ? tree.entries.get("op")?.value : undefined
  const name = op?._tag === "Scalar" ? String(op.value) : ""
  return Object.hasOwn(registry, name) && registry[name]!.random === true
}

/** Every model and node with its params put in, and what the matrix needs to know of it. */
const rawNodes = (
  { models, nodes }: Maps,
  params: ReadonlyMap<string, Tree>,
  axes: ReadonlyArray<Axis>,
  context: Context
): Map<string, Raw> => {
  const { registry } = context
  const later = new Set(axes.map((axis) => axis.name))
  const put = (tree: Tree): Tree => substitute(tree, { ...context, names: params, later })
  const raw = new Map<string, Raw>()
  for (const [name, { value }] of models?.entries ?? []) {
    raw.set(name, { tree: put(value), model: true, random: registry[modelOperator]?.random === true })
  }
  for (const [name, { value }] of nodes?.entries ?? []) {
    const tree = put(value)
    if (!raw.has(name)) raw.set(name, { tree, model: false, random: isRandom(tree, registry) })
  }
  return raw
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
  context: Context
): Draft | undefined => {
  const { findings, registry } = context
  const names = new Map(axes.map((axis) => [axis.name, axis.values.get(variant.get(axis.name)!)!]))
  const tree = substitute(raw.tree, { ...context, names })
  const operator = registry[modelOperator]
  const isModel = raw.model && operator !== undefined
  const spec = isModel ? readModel(name, modelOperator, operator, tree, findings) : readNode(name, tree, findings)
  if (spec === undefined) return undefined
  const spelled = parseId(name)
  const id = variantId(spelled?.name ?? name, { ...spelled?.axes, ...Object.fromEntries(variant) })
  return { id, spec, place: placeIn(tree, id) }
}

/** Each node once for every variant of the axes in which it stands. */
const spread = (raw: ReadonlyMap<string, Raw>, axes: ReadonlyArray<Axis>, context: Context) => {
  const standing = axesOf(raw, axes)
  const drafts: Array<Draft> = []
  const lost = new Set<string>()
  for (const [name, node] of raw) {
    const own = axes.filter((axis) => standing.get(name)!.has(axis.name))
    const count = own.reduce((product, axis) => product * axis.values.size, 1)
    if (drafts.length + count > yamlLimits.nodes) {
      const label = `the matrix makes more than ${yamlLimits.nodes} nodes`
      context.findings.push({ code: "V120", message: "too many nodes", span: node.tree.span, label })
      return { drafts: [], lost: new Set(raw.keys()) }
    }
    const read = variantsOf(own).map((variant) => readVariant(name, node, variant, own, context))
    const found = read.filter((draft) => draft !== undefined)
    drafts.push(...found)
    if (found.length === 0 || found.length < read.length) lost.add(name)
  }
  return { drafts, lost }
}

/** Reads the sections of a file. Findings and places without a value are added to `context`. */
export const readDocument = (root: TreeMap, set: ReadonlyMap<string, string>, context: Context): ReadDocument => {
  const { findings } = context
  const maps = readSections(root, findings)
  const params = readParams(maps.params, set, findings)
  const put = <T extends Tree>(tree: T | undefined): T | undefined =>
    tree === undefined ? undefined : (substitute(tree, { ...context, names: params }) as T)
  const axes = readMatrix(put(maps.matrix), set, findings)
  checkSet(set, [...params.keys(), ...axes.map((axis) => axis.name)], findings)
  return {
    name: readName(root, put(root.entries.get("name")?.value), findings),
    seed: readSeed(put(root.entries.get("seed")?.value), findings),
    axes: Object.fromEntries(axes.map(({ name, values }) => [name, [...values.keys()]])),
    ...spread(rawNodes(maps, params, axes, context), axes, context)
  }
}
