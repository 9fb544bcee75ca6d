/**
 * What a Filter node stands for: the nodes that make its scores and its threshold, and the decision.
 *
 *   model wired                ImageEncoder, ITM -> match_probability; TextEncoder, ITC -> itc_score when `keep` names it
 *   keep: { score: { top } }   Quantile -> threshold
 */
import type { NodeSpec, Reference } from "@bootlace/graph"

type Wires = NodeSpec["in"]
type Nodes = Record<string, NodeSpec>

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const node = (op: string, wires: Wires, config: NodeSpec["config"] = {}): NodeSpec => ({ op, in: wires, config })

/** Scores of the model for `image` and `text`, as wires for the decision. */
const scoring = (nodes: Nodes, wires: Wires, columns: ReadonlyArray<string>): Record<string, Reference> => {
  const wired: Record<string, Reference> = {}
  const { model, image, text } = wires
  if (model === undefined) return wired
  const wants = (column: string) => columns.includes(column) && wires[column] === undefined
  const only = (inputs: Readonly<Record<string, Wires[string] | undefined>>): Wires =>
    Object.fromEntries(Object.entries(inputs).flatMap(([name, from]) => (from === undefined ? [] : [[name, from]])))
  if (wants("match_probability") || wants("itc_score")) nodes["image"] = node("ImageEncoder", only({ image, model }))
  if (wants("match_probability")) {
    nodes["itm"] = node("ITM", only({ image_tokens: "image.image_tokens", text, model }))
    wired["match_probability"] = "itm.match_probability"
  }
  if (wants("itc_score")) {
    nodes["text"] = node("TextEncoder", only({ text, model }))
    nodes["itc"] = node("ITC", { image_embeds: "image.image_embeds", text_embeds: "text.text_embeds" })
    wired["itc_score"] = "itc.itc_score"
  }
  return wired
}

/** The one column with a `top` rule, and its share. */
const topRule = (keep: Readonly<Record<string, unknown>>): readonly [string, unknown] | undefined => {
  const found = Object.entries(keep).flatMap(([column, rule]) =>
    isObject(rule) && rule["top"] !== undefined ? [[column, rule["top"]] as const] : []
  )
  return found.length === 1 ? found[0] : undefined
}

/** Undefined where there is nothing to make, or where the config is wrong and the check will say so. */
export const rewriteFilter = (filter: NodeSpec): { readonly nodes: Nodes; readonly as: string } | undefined => {
  const keep = filter.config["keep"]
  if (!isObject(keep)) return undefined
  const nodes: Nodes = {}
  const scores = scoring(nodes, filter.in, Object.keys(keep))
  const wires: Record<string, Wires[string]> = { ...filter.in, ...scores }
  if (Object.keys(scores).length > 0) delete wires["model"]
  const top = topRule(keep)
  const score = top && wires[top[0]]
  if (top !== undefined && score !== undefined && wires["threshold"] === undefined) {
    nodes["threshold"] = node("Quantile", { score }, { column: top[0], top: top[1] })
    wires["threshold"] = "threshold.threshold"
  }
  if (Object.keys(nodes).length === 0) return undefined
  nodes["decision"] = { ...filter, in: wires }
  return { nodes, as: "decision" }
}
