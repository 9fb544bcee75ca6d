/** What a run prints when it is over: a table of results, or one JSON object. */
import type { RunRecord } from "@bootlace/graph"
import { deviation, duration, mean, measurements, number, resultSets } from "@bootlace/report"
import type { ResultSet } from "@bootlace/report"
import { counted, table } from "./Table.ts"

const cell = (bySeed: ReadonlyMap<string, number> | undefined): string => {
  const values = [...(bySeed?.values() ?? [])]
  if (values.length === 0) return "-"
  return values.length === 1 ? number(values[0]!) : `${number(mean(values))} \u00b1 ${number(deviation(values))}`
}

/** One line per metric, one column per variant. */
const setTable = (set: ResultSet): string =>
  table(
    [
      { title: "node" },
      { title: "metric" },
      ...set.variants.map((variant) => ({ title: variant === "" ? "value" : variant, align: "right" as const }))
    ],
    set.columns.map((column, c) => [column.node, column.metric, ...set.variants.map((_, v) => cell(set.values[c]![v]))])
  )

/** The results of evaluations; where there are none, what the trainings ended with. Undefined where nothing was measured. */
export const resultsText = (record: RunRecord): string | undefined => {
  const all = measurements(record)
  const evaluations = all.filter((m) => m.evaluation)
  const sets = resultSets(evaluations.length > 0 ? evaluations : all)
  return sets.length === 0 ? undefined : sets.map(setTable).join("\n\n")
}

/** `done in 4 min 05 s: 21 nodes, 3 cached, 12 rows rejected`. */
export const summaryText = (record: RunRecord): string => {
  const nodes = Object.values(record.nodes)
  const cached = nodes.filter((node) => node.cached).length
  const rejected = nodes.reduce((sum, node) => sum + node.rejected, 0)
  const counts = [
    counted(nodes.length, "node"),
    ...(cached === 0 ? [] : [`${cached} cached`]),
    ...(rejected === 0 ? [] : [`${counted(rejected, "row")} rejected`])
  ]
  return `run ${record.run} ${record.status} in ${duration(record.seconds)}: ${counts.join(", ")}`
}

/** The object of `run --json`. */
export const runJson = (record: RunRecord) => ({
  run: record.run,
  status: record.status,
  seconds: record.seconds,
  nodes: Object.fromEntries(
    Object.entries(record.nodes).map(([id, { op, rows_in, rows_out, rejected, cached, seconds, artifact }]) => [
      id,
      { op, rows_in, rows_out, rejected, cached, seconds, artifact }
    ])
  ),
  metrics: record.metrics
})
