/** Looking things up in a run record: nodes by variant, the rows that a node reads, columns by type. */
import type { ColumnType, DrawnNode, RunRecord, StoredRows } from "@bootlace/graph"
import { baseName, placeOf } from "./Variants.ts"

/** `retrain both`: the node and its variant, whatever the seed. */
export const title = (node: DrawnNode): string => {
  const { variant } = placeOf(node.axes)
  return variant === "" ? baseName(node.id) : `${baseName(node.id)} ${variant}`
}

/** The first seed of every variant of the nodes that pass. */
export const firstSeeds = (record: RunRecord, passes: (node: DrawnNode) => boolean): ReadonlyArray<DrawnNode> =>
  [...Map.groupBy(record.graph.filter(passes), title).values()].map(([first]) => first!)

/** The stored rows of a port; of a node's only port where the wire doesn't say which. */
const rowsAt = (record: RunRecord, node: string, port: string): StoredRows | undefined => {
  const own = record.rows.filter((rows) => rows.node === node)
  return own.find((rows) => rows.port === port) ?? (own.length === 1 ? own[0] : undefined)
}

const starters = new Set(["source", "route", "expand", "union"])

/** The row set that a map reads: that of the first input which carries rows. */
export const rowsReadBy = (record: RunRecord, node: DrawnNode): StoredRows | undefined => {
  const nodes = new Map(record.graph.map((each) => [each.id, each]))
  for (const { from, port } of node.inputs) {
    const source = nodes.get(from)
    if (source === undefined) continue
    if (starters.has(source.kind)) return rowsAt(record, from, port)
    const rows = source.kind === "map" ? rowsReadBy(record, source) : undefined
    if (rows !== undefined) return rows
  }
  return undefined
}

/** The stored rows of a filter's two ports. */
export const portsOf = (record: RunRecord, node: DrawnNode) => ({
  kept: record.rows.find((rows) => rows.node === node.id && rows.port === "kept"),
  rejected: record.rows.find((rows) => rows.node === node.id && rows.port === "rejected")
})

/** Column names of a type; the row set's own before those of maps (`node.column`). */
export const columnsOf = (rows: StoredRows, type: ColumnType): ReadonlyArray<string> =>
  Object.keys(rows.columns)
    .filter((name) => rows.columns[name] === type)
    .toSorted((a, b) => Number(a.includes(".")) - Number(b.includes(".")))

/** Without the columns of maps. */
export const ownColumns = (rows: StoredRows, type: ColumnType): ReadonlyArray<string> =>
  columnsOf(rows, type).filter((name) => !name.includes("."))

/** `n` indices spread evenly over `length`, both ends included. */
export const spread = (length: number, n: number): ReadonlyArray<number> =>
  length <= n
    ? Array.from({ length }, (_, i) => i)
    : Array.from({ length: n }, (_, i) => Math.round((i * (length - 1)) / (n - 1)))
