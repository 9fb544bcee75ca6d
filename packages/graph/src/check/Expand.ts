/** Drafts to nodes: operators looked up, configs decoded, rewrites applied until none applies. */
import type { Finding } from "../Diagnostic.ts"
import { unknownName } from "../Nearest.ts"
import type { BadRowPolicy, NodeSpec } from "../NodeSpec.ts"
import type { Registry, Rewritten } from "../Operator.ts"
import { decodeConfig } from "./Config.ts"
import { type Axes, type Draft, type Place, parseId, variantId } from "./Draft.ts"
import type { Node, NodeInput, Ref } from "./Node.ts"

/** Rows in error are put aside; more than a tenth of them ends the run with exit 3. */
export const defaultBadRows: BadRowPolicy = { action: "reject", budget: 0.1 }

export interface Expansion {
  readonly registry: Registry
  readonly seed: number
  readonly findings: Array<Finding>
  readonly nodes: Array<Node>
  /** Names of nodes that could not be read: references to them aren't reported again. */
  readonly lost: Set<string>
}

interface Spelled {
  readonly base: string
  readonly axes: Axes
  readonly spec: NodeSpec
  readonly place: Place
  /** What a reference of this spec means; of a draft, itself. */
  readonly ref: (text: string, place: ReturnType<Place>) => Ref
}

const inputsOf = ({ spec, place, ref }: Spelled): Record<string, NodeInput> => {
  const inputs: Record<string, NodeInput> = {}
  for (const [name, texts] of Object.entries(spec.in)) {
    const list = typeof texts !== "string"
    const refs = (list ? texts : [texts]).map((text, i) => ref(text, place(list ? ["in", name, i] : ["in", name])))
    inputs[name] = { refs, list, key: place(["in", name], "key") }
  }
  return inputs
}

/** Rewrites see outer references as opaque words `@0`, `@1`, so that the names of their own nodes can't clash with them. */
const handles = (inputs: Readonly<Record<string, NodeInput>>, known: Array<Ref>): NodeSpec["in"] =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { refs, list }]) => {
      const words = refs.map((ref) => `@${known.push(ref) - 1}`)
      return [name, list ? words : words[0]!]
    })
  )

const deepest = 8

const rewriteOf = (
  node: Spelled,
  inputs: Readonly<Record<string, NodeInput>>,
  expansion: Expansion,
  known: Array<Ref>
): Rewritten | undefined => {
  const operator = expansion.registry[node.spec.op]!
  try {
    return operator.rewrite?.({ ...node.spec, in: handles(inputs, known) })
  } catch (cause) {
    const label = `${operator.name} failed to rewrite this node: ${cause instanceof Error ? cause.message : String(cause)}`
    expansion.findings.push({ code: "V119", message: "fault in an operator", ...node.place(["op"]), label })
    return undefined
  }
}

const expandRewritten = (
  outer: Spelled,
  rewritten: Rewritten,
  known: ReadonlyArray<Ref>,
  expansion: Expansion,
  depth: number
): void => {
  const bases = new Map(
    Object.keys(rewritten.nodes).map((inner) => [inner, inner === rewritten.as ? outer.base : `${outer.base}/${inner}`])
  )
  for (const [inner, spec] of Object.entries(rewritten.nodes)) {
    const base = bases.get(inner)!
    const place: Place =
      inner === rewritten.as
        ? outer.place
        : (path) => ({ ...outer.place(["op"]), at: `node ${[base, ...path.map(String)].join(", ")}` })
    const ref = (text: string, where: ReturnType<Place>): Ref => {
      if (text.startsWith("@")) return known[Number(text.slice(1))]!
      const [first = ""] = text.split(".", 1)
      const read = bases.get(first)
      const named = read === undefined ? text : `${read}${text.slice(first.length)}`
      return { text: named, where }
    }
    const policy = outer.spec.on_bad_row === undefined ? {} : { on_bad_row: outer.spec.on_bad_row }
    expand({ base, axes: outer.axes, spec: { ...policy, ...spec }, place, ref }, expansion, depth + 1)
  }
}

const expand = (node: Spelled, expansion: Expansion, depth: number): void => {
  const { registry, findings, nodes, lost } = expansion
  const { base, axes, spec, place } = node
  const operator = Object.hasOwn(registry, spec.op) ? registry[spec.op] : undefined
  if (operator === undefined) {
    const names = Object.keys(registry)
    const label = `no operator ${spec.op}; \`bootlace ops\` lists all`
    findings.push(
      unknownName(
        {
          code: "V105",
          message: "unknown operator",
          ...place(["op"]),
          label
        },
        spec.op,
        names
      )
    )
    lost.add(base)
    return
  }
  const inputs = inputsOf(node)
  const decoded = decodeConfig(operator, spec.config, place, findings)
  const known: Array<Ref> = []
  const rewritten = decoded === undefined ? undefined : rewriteOf(node, inputs, expansion, known)
  if (rewritten !== undefined && depth < deepest) return expandRewritten(node, rewritten, known, expansion, depth)
  if (rewritten !== undefined) {
    findings.push({
      code: "V119",
      message: "fault in an operator",
      ...place(["op"]),
      label: `${operator.name} rewrites itself without end`
    })
  }
  const ownSeed = Number(axes["seed"] ?? NaN)
  nodes.push({
    id: variantId(base, axes),
    base,
    axes,
    seed: Number.isSafeInteger(ownSeed) ? ownSeed : expansion.seed,
    operator,
    inputs,
    decoded,
    misplaced: Object.keys(spec.config).filter((key) => Object.hasOwn(operator.inputs as object, key)),
    graph: spec.graph,
    minimize: spec.minimize,
    persist: spec.persist ?? false,
    on_bad_row: spec.on_bad_row ?? defaultBadRows,
    place
  })
}

/** Adds each draft's nodes to the expansion. A draft whose id is none has been reported by whoever read it. */
export const expandDrafts = (drafts: ReadonlyArray<Draft>, expansion: Expansion): void => {
  for (const { id, spec, place } of drafts) {
    const parsed = parseId(id)
    if (parsed === undefined) {
      expansion.lost.add(id)
      continue
    }
    expand({ base: parsed.name, axes: parsed.axes, spec, place, ref: (text, where) => ({ text, where }) }, expansion, 0)
  }
}
