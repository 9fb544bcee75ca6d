/** `bootlace compare A B`: what another run did to rows and metrics; noise is not called a gain. */
import { compareAttrition, compareMetrics, number, percent, signed } from "@bootlace/report"
import type { MetricChange } from "@bootlace/report"
import type { RunRecord } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { compareRows } from "../CompareRows.ts"
import type { RowsChange } from "../CompareRows.ts"
import { findRun } from "../FindRun.ts"
import { existingStore } from "../Machinery.ts"
import { out } from "../Screen.ts"
import { table } from "../Table.ts"

export interface CompareCommand {
  readonly a: string
  readonly b: string
  readonly store: string
  readonly json: boolean
}

const runLine = (name: string, { run, pipeline, plan, seed, status }: RunRecord): string =>
  `${name}  ${run}  ${pipeline}, seed ${seed}, plan ${plan.slice(0, 12)}, ${status}`

const right = (title: string) => ({ title, align: "right" as const })

const known = (value: number | undefined): string => (value === undefined ? "-" : number(value))

const rowsTable = (changes: ReadonlyArray<RowsChange>): string => {
  const changed = changes.filter(({ added, removed }) => added > 0 || removed > 0)
  const same = `${changes.length - changed.length} of ${changes.length} row sets have the same rows`
  if (changed.length === 0) return same
  const rows = changed.map(({ node, port, a, b, added, removed }) => [
    `${node}.${port}`,
    known(a),
    known(b),
    number(added),
    number(removed)
  ])
  return `${table([{ title: "rows" }, right("A"), right("B"), right("only in B"), right("only in A")], rows)}\n${same}`
}

/** `signedText` writes a difference with its sign. */
const intervalText = ({ difference }: MetricChange, signedText: (value: number) => string): string => {
  if (difference === undefined || Number.isNaN(difference.mean)) return ""
  const { mean, low, high, n } = difference
  return n < 2 ? `${signedText(mean)} (one pair)` : `${signedText(mean)} [${signedText(low)}, ${signedText(high)}]`
}

const nodeName = ({ node, variant }: MetricChange): string => (variant === "" ? node : `${node} ${variant}`)

const verdictNote =
  "Paired over seeds, 95% intervals by Student's t. Not resolved: the interval has 0 in it, or there is one pair only."

const share = (value: number | undefined): string => (value === undefined ? "-" : percent(value))
const points = (difference: number): string => `${signed(100 * difference)} points`

/** What each node dropped of the rows that came to it. */
const attritionTable = (changes: ReadonlyArray<MetricChange>): string => {
  if (changes.length === 0) return "no node dropped a row"
  const head = [{ title: "dropped by" }, right("A"), right("B"), { title: "B - A" }, { title: "verdict" }]
  const rows = changes.map((change) => [
    nodeName(change),
    share(change.a),
    share(change.b),
    change.verdict === "equal" ? "" : intervalText(change, points),
    change.verdict
  ])
  return table(head, rows)
}

const metricsTable = (changes: ReadonlyArray<MetricChange>): string => {
  const changed = changes.filter(({ verdict }) => verdict !== "equal")
  const same = `${changes.length - changed.length} of ${changes.length} metrics are equal`
  if (changed.length === 0) return same
  const rows = changed.map((change) => [
    nodeName(change),
    change.metric,
    known(change.a),
    known(change.b),
    intervalText(change, signed),
    change.verdict
  ])
  const head = [
    { title: "node" },
    { title: "metric" },
    right("A"),
    right("B"),
    { title: "B - A" },
    { title: "verdict" }
  ]
  return `${table(head, rows)}\n${same}`
}

export const compare = (options: CompareCommand) =>
  Effect.gen(function* () {
    const a = yield* findRun(options.store, options.a)
    const b = yield* findRun(options.store, options.b)
    const rows = yield* compareRows(a, b)
    const [attrition, metrics] = [compareAttrition(a, b), compareMetrics(a, b)]
    if (options.json) return yield* out(JSON.stringify({ a: a.run, b: b.run, rows, attrition, metrics }))
    const isJudged = [...attrition, ...metrics].some(({ verdict }) => verdict !== "equal")
    const parts = [
      [runLine("A", a), runLine("B", b)].join("\n"),
      rowsTable(rows),
      attritionTable(attrition),
      metricsTable(metrics),
      ...(isJudged ? [verdictNote] : [])
    ]
    yield* out(parts.join("\n\n"))
  }).pipe(Effect.provide(existingStore(options.store)))
