/** The sections of a file: which there are, whether their names are names, and the few that are a single value. */
import { namePattern, nameRule, parseId } from "../check/Draft.ts"
import type { Finding, Span } from "../Diagnostic.ts"
import { unknownName } from "../Nearest.ts"
import { seedAxis } from "./Matrix.ts"
import { unknownKeys, wrongValue } from "./Mistakes.ts"
import { type Tree, type TreeMap, valueOf } from "./Tree.ts"

const sections = ["version", "name", "description", "seed", "params", "models", "matrix", "nodes"] as const

export interface Maps {
  readonly params: TreeMap | undefined
  readonly matrix: TreeMap | undefined
  readonly models: TreeMap | undefined
  readonly nodes: TreeMap | undefined
}

const mapAt = (root: TreeMap, name: keyof Maps, findings: Array<Finding>): TreeMap | undefined => {
  const tree = root.entries.get(name)?.value
  if (tree === undefined || tree._tag === "Map") return tree
  if (tree._tag === "Scalar" && tree.value === null) return undefined
  const label = `${name} is a map from name to what it names`
  findings.push({ code: "V107", message: "wrong value", span: tree.span, label })
  return undefined
}

/** Where a key that is missing is missed. */
const startOf = (root: TreeMap): Span => ({ start: root.span.start, end: root.span.start + 1 })

const missing = (root: TreeMap, label: string): Finding => ({
  code: "V108",
  message: "missing key",
  span: startOf(root),
  label
})

/** Params, axes, nodes and models: each name well formed, and no two alike. The axis `seed` may have a namesake. */
const checkNames = ({ params, matrix, models, nodes }: Maps, findings: Array<Finding>): void => {
  const kinds = { param: params, axis: matrix, model: models, node: nodes }
  const first = new Map<string, string>()
  for (const [kind, map] of Object.entries(kinds)) {
    for (const [name, { key }] of map?.entries ?? []) {
      const taken = first.get(name)
      if (!namePattern.test(name) && !(kind === "node" && parseId(name) !== undefined)) {
        findings.push({ code: "V118", message: "bad name", span: key, label: nameRule, given: name })
      } else if (taken !== undefined && !(kind === "axis" && name === seedAxis)) {
        const label = `${name} is already a ${taken}`
        findings.push({ code: "V102", message: "name used twice", span: key, label, given: name })
      } else first.set(name, kind)
    }
  }
}

/** The sections that are maps; whatever is wrong with the shape of the file is found here. */
export const readSections = (root: TreeMap, findings: Array<Finding>): Maps => {
  findings.push(...unknownKeys(root, "a pipeline", sections))
  const version = root.entries.get("version")?.value
  if (version === undefined) findings.push(missing(root, "a pipeline starts with version: 1"))
  else if (valueOf(version) !== 1) {
    const label = "this release reads version: 1"
    findings.push({ code: "V107", message: "wrong value", span: version.span, label })
  }
  if (!root.entries.has("nodes")) findings.push(missing(root, "a pipeline has nodes: { ... }"))
  const maps: Maps = {
    params: mapAt(root, "params", findings),
    matrix: mapAt(root, "matrix", findings),
    models: mapAt(root, "models", findings),
    nodes: mapAt(root, "nodes", findings)
  }
  checkNames(maps, findings)
  return maps
}

/** Default 0. */
export const readSeed = (tree: Tree | undefined, findings: Array<Finding>): number => {
  const seed = tree === undefined ? 0 : valueOf(tree)
  if (Number.isSafeInteger(seed) && (seed as number) >= 0) return seed as number
  findings.push(wrongValue(tree!, "a whole number from 0"))
  return 0
}

export const readName = (root: TreeMap, tree: Tree | undefined, findings: Array<Finding>): string => {
  const name = tree === undefined ? undefined : valueOf(tree)
  if (typeof name === "string" && /^\w[\w.-]{0,99}$/.test(name)) return name
  const label = "a pipeline's name has letters, digits, and . _ - only"
  findings.push(
    tree === undefined
      ? missing(root, "a pipeline has a name: its runs are listed under it")
      : { code: "V107", message: "wrong value", span: tree.span, label }
  )
  return "pipeline"
}

/** What `--set` names must be declared. */
export const checkSet = (
  set: ReadonlyMap<string, string>,
  declared: ReadonlyArray<string>,
  findings: Array<Finding>
): void => {
  const none = "the pipeline declares no params and no matrix"
  const label = declared.length === 0 ? none : `declared: ${declared.join(", ")}`
  for (const [name, value] of set) {
    if (declared.includes(name)) continue
    const message = `unknown param in --set ${name}=${value}`
    findings.push(unknownName({ code: "V109", message, at: "command line", label }, name, declared))
  }
}
