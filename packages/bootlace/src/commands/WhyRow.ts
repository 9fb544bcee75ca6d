/** `bootlace why-row ID`: a row's way through a run, and why it ended where it did. */
import { number } from "@bootlace/report"
import { Effect } from "effect"
import { usage } from "../Failure.ts"
import { findRun } from "../FindRun.ts"
import { existingStore } from "../Machinery.ts"
import { rowHistories } from "../RowHistory.ts"
import type { RowPlace, Told } from "../RowHistory.ts"
import { out } from "../Screen.ts"
import { printable } from "../Table.ts"

export interface WhyRowCommand {
  /** The row's id in hex, or its beginning. */
  readonly id: string
  readonly run: string
  readonly store: string
  readonly json: boolean
}

const toldText = (value: Told): string => {
  if (typeof value === "string") return JSON.stringify(value)
  return typeof value === "number" ? number(value) : String(value)
}

const placeText = ({ node, port, values, reason, bytes, readers }: RowPlace): string => {
  const head = port === undefined ? `${node} put it aside` : `${node}.${port}`
  const lines = [
    ...(reason === undefined ? [] : [`because: ${reason}`]),
    ...(bytes === undefined ? [] : [`its bytes: row ${bytes.row} of shard ${bytes.shard}`]),
    ...Object.entries(values).map(([column, value]) => `${column}: ${toldText(value)}`),
    ...(readers.length === 0 ? [] : [`read by: ${readers.join(", ")}`])
  ]
  return [head, ...lines.map((line) => `  ${line}`)].map(printable).join("\n")
}

export const whyRow = (options: WhyRowCommand) =>
  Effect.gen(function* () {
    const beginning = options.id.toLowerCase()
    if (!/^[0-9a-f]{4,32}$/.test(beginning))
      return yield* usage(
        `error: ${options.id} is no row id: expected 4 to 32 hex digits\nhint: reports and errors show row ids`
      )
    const record = yield* findRun(options.store, options.run)
    const found = yield* rowHistories(record, beginning)
    const [row] = found
    if (row === undefined) return yield* usage(`error: run ${record.run} has no row whose id begins with ${beginning}`)
    if (found.length > 1) {
      const some = found.slice(0, 5).map(({ row_id }) => row_id)
      return yield* usage(`error: ${found.length} rows begin with ${beginning}\nhint: ${some.join(", ")}`)
    }
    if (options.json) return yield* out(JSON.stringify({ run: record.run, ...row }))
    yield* out([`row ${row.row_id} in run ${record.run}`, ...row.places.map(placeText)].join("\n"))
  }).pipe(Effect.provide(existingStore(options.store)))
