/** Which node a reference reads: by name in the same variant of the matrix, or by its full id. */
import type { Finding } from "../Diagnostic.ts"
import { unknownName } from "../Nearest.ts"
import type { Axes } from "./Draft.ts"
import { part } from "./Draft.ts"
import type { Node, Ref } from "./Node.ts"

export interface Names {
  readonly byId: ReadonlyMap<string, Node>
  readonly byBase: ReadonlyMap<string, ReadonlyArray<Node>>
  readonly lost: ReadonlySet<string>
}

export const namesOf = (nodes: ReadonlyArray<Node>, lost: ReadonlySet<string>): Names => ({
  byId: new Map(nodes.map((node) => [node.id, node])),
  byBase: Map.groupBy(nodes, (node) => node.base),
  lost
})

/** `web[data=a.b].kept.image` is the node `web[data=a.b]` and `kept`, `image`: dots inside brackets belong to the id. */
export const splitReference = (text: string): { readonly node: string; readonly rest: ReadonlyArray<string> } => {
  const match = /^([^.[]*(?:\[[^\]]*\])?)(?:\.(.*))?$/s.exec(text)
  return match === null ? { node: text, rest: [] } : { node: match[1]!, rest: match[2]?.split(".") ?? [] }
}

export interface Read {
  readonly node?: Node
  readonly rest: ReadonlyArray<string>
  readonly finding?: Finding
}

const unknownNode = (ref: Ref, name: string, names: Names): Finding => {
  const known = [...names.byBase.keys()]
  const label = name === "" ? "a reference starts with a node's name" : `no node or model has this name`
  const at = part(ref.where, 0, name.length)
  return unknownName({ code: "V103", message: "unknown node", ...at, label }, name, known)
}

const inVariant = (reader: Axes, node: Node): boolean =>
  Object.entries(node.axes).every(([axis, value]) => reader[axis] === value)

/** The node that `ref` reads from a node standing in `axes`. */
export const find = (ref: Ref, axes: Axes, names: Names): Read => {
  const { node: name, rest } = splitReference(ref.text)
  const exact = names.byId.get(name)
  if (exact !== undefined) return { node: exact, rest }
  const variants = names.byBase.get(name) ?? names.byBase.get(name.replace(/\[.*$/, ""))
  if (variants === undefined) {
    return names.lost.has(name.replace(/\[.*$/, "")) ? { rest } : { rest, finding: unknownNode(ref, name, names) }
  }
  const fitting = name.includes("[") ? undefined : variants.find((node) => inVariant(axes, node))
  if (fitting !== undefined) return { node: fitting, rest }
  const label = `${variants[0]!.base} exists as ${variants
    .map(({ id }) => id)
    .slice(0, 4)
    .join(", ")}${variants.length > 4 ? ", ..." : ""}`
  return {
    rest,
    finding: {
      code: "V103",
      message: "variant missing",
      ...part(ref.where, 0, name.length),
      label,
      hint: "name one of them"
    }
  }
}
