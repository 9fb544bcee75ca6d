/** `${name}`: typed substitution of params and matrix axes into values. Nothing is computed. */
import type { Finding, Span } from "../Diagnostic.ts"
import { within } from "../Diagnostic.ts"
import { unknownName } from "../Nearest.ts"
import { mask } from "./ReadTree.ts"
import type { Tree } from "./Tree.ts"

export interface Substitution {
  /** What the names in `${ }` stand for here; a name already found wrong stands for null. */
  readonly names: ReadonlyMap<string, Tree>
  readonly findings: Array<Finding>
  /** Names that a later pass will replace; where there are some, `$${` also stays as it is. */
  readonly later?: ReadonlySet<string>
  /** Places whose value is missing because of a mistake reported elsewhere: nothing more is to be said about them. */
  readonly broken: Array<Span>
}

const one = new RegExp(`^\\$${mask.open}([^${mask.close}]*)${mask.close}$`)
/** `$${` is the text `${` itself. */
const each = new RegExp(`\\$\\$${mask.escaped}|\\$${mask.open}([^${mask.close}]*)${mask.close}`, "g")

/** The names that a tree's `${ }` mention. */
export const mentions = (tree: Tree): ReadonlySet<string> => {
  const found = new Set<string>()
  const visit = (at: Tree): void => {
    if (at._tag === "List") at.items.forEach(visit)
    else if (at._tag === "Map") for (const { value } of at.entries.values()) visit(value)
    else if (typeof at.value === "string") {
      for (const [, name] of at.value.matchAll(each)) if (name !== undefined) found.add(name.trim())
    }
  }
  visit(tree)
  return found
}

const lookUp = (raw: string, span: Span, { names, findings, broken, later }: Substitution): Tree | undefined => {
  const name = raw.trim()
  const found = names.get(name)
  if (found !== undefined && !(found._tag === "Scalar" && found.value === null)) return found
  broken.push(span)
  if (found !== undefined) return undefined
  const known = [...names.keys(), ...(later ?? [])]
  const declared =
    known.length === 0 ? "the pipeline declares no params and no matrix" : `declared: ${known.join(", ")}`
  const label = /^[\w-]+$/.test(name) ? declared : "only the name of a param or an axis may stand here"
  findings.push(unknownName({ code: "V109", message: "unknown param", span, label }, name, known))
  return undefined
}

const replaceScalar = (text: string, span: Span, substitution: Substitution): Tree => {
  const { findings, broken, later } = substitution
  const bare = { start: span.start, end: span.end }
  const whole = one.exec(text)
  if (whole !== null) {
    if (later?.has(whole[1]!.trim()) === true) return { _tag: "Scalar", value: text, span }
    const found = lookUp(whole[1]!, bare, substitution)
    if (found === undefined) return { _tag: "Scalar", value: null, span: bare }
    return found._tag === "Scalar" ? { ...found, span: bare } : found
  }
  if (later === undefined && text.includes("${")) {
    const label = "${ without }; the text ${ itself is written $${"
    findings.push({ code: "V109", message: "unknown param", span, label })
  }
  const value = text.replace(each, (match, raw: string | undefined, offset: number) => {
    if (raw === undefined) return later === undefined ? "${" : match
    if (later?.has(raw.trim()) === true) return match
    const at = within(span, offset, match.length)
    const found = lookUp(raw, at, substitution)
    if (found?._tag === "Scalar") return String(found.value)
    broken.push(bare)
    if (found === undefined) return ""
    const label = `${raw.trim()} is ${found._tag === "List" ? "a list" : "a map"}: it can only be the whole value`
    findings.push({ code: "V109", message: "wrong place for a param", span: at, label })
    return ""
  })
  return { _tag: "Scalar", value, span: bare }
}

const hasMarks = (value: unknown): value is string =>
  typeof value === "string" && (value.includes(mask.open) || value.includes(mask.escaped) || value.includes("${"))

/** The tree with every `${name}` replaced. A whole value keeps the type of what it names; inside a text it is spelled out. */
export const substitute = (tree: Tree, substitution: Substitution): Tree => {
  switch (tree._tag) {
    case "Scalar":
      return hasMarks(tree.value) ? replaceScalar(tree.value, tree.span, substitution) : tree
    case "List":
      return { ...tree, items: tree.items.map((item) => substitute(item, substitution)) }
    case "Map": {
      const entries = [...tree.entries].map(
        ([key, entry]) => [key, { ...entry, value: substitute(entry.value, substitution) }] as const
      )
      return { ...tree, entries: new Map(entries) }
    }
  }
}
