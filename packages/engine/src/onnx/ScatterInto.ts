/**
 * Rows that are added up by position and then added to a tensor are added into it at once. A word embedding's gradient comes from several texts
 * and from the language model's head, each part as large as the vocabulary's matrix.
 */
import type { Value } from "../Graph.ts"
import { sameShape } from "../Graph.ts"
import type { Rule } from "../RewriteGraph.ts"

export const scatterInto: Rule = (value, { isShared }) => {
  if (value.op !== "Add") return value
  const isLoose = (part: Value) => part.op === "ScatterAdd" && part.inputs.length === 2 && !isShared(part)
  const rows = value.inputs.findLast(isLoose)
  if (rows === undefined) return value
  const into = value.inputs.find((part) => part !== rows)
  if (into === undefined || !sameShape(into.shape, rows.shape)) return value
  return { ...rows, inputs: [...rows.inputs, into] }
}
