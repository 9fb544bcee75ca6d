/**
 * Rows picked out of what is computed element by element from tables are computed from the tables' rows: of a momentum twin's word embeddings,
 * those of the batch's tokens. The twin's matrix, as large as the vocabulary's, is then never made. The same operations give the same bits.
 */
import type { Value } from "../Graph.ts"
import { sameShape } from "../Graph.ts"
import type { Rewriting, Rule } from "../RewriteGraph.ts"

const elementwise = new Set(["Add", "Sub", "Mul"])

const isScalar = ({ shape }: Value): boolean => shape.length === 0

/** An operation on given tables of one shape, and numbers. */
const isOfTables = ({ op, inputs, shape }: Value): boolean =>
  elementwise.has(op) &&
  inputs.every(
    (input) => isScalar(input) || (sameShape(input.shape, shape) && (input.op === "Input" || isOfTables(input)))
  )

/** The rows that `gather` picks. */
function rowsOf(table: Value, gather: Value, rewriting: Rewriting): Value {
  if (isScalar(table)) return table
  if (table.op === "Input") return rewriting.add({ ...gather, inputs: [table, gather.inputs[1]!] })
  const inputs = table.inputs.map((input) => rowsOf(input, gather, rewriting))
  return rewriting.add({ ...table, inputs, shape: gather.shape })
}

export const gatherFirst: Rule = (value, rewriting) => {
  const isPicked = value.op === "Gather" && value.attributes["axis"] === 0 && isOfTables(value.inputs[0]!)
  return isPicked ? rowsOf(value.inputs[0]!, value, rewriting) : value
}
