/** `bootlace why-row ID`: a row's way through a run, and why it ended where it did. */
import type { RunRecord } from "@bootlace/graph"
import { number } from "@bootlace/report"
import * as Effect from "effect/Effect"
import { usage } from "../Failure.ts"
import { findInput } from "../FindInput.ts"
import { findRun } from "../FindRun.ts"
import { existingStore } from "../Machinery.ts"
import { rowHistories } from "../RowHistory.ts"
import type { RowHistory, RowPlace, Told } from "../RowHistory.ts"
import { out } from "../Screen.ts"
import { printable } from "../Table.ts"

export interface WhyRowCommand {
  /** The row's id in hex, or its beginning. */
  readonly id: string
  readonly run: string
  readonly store: string
  /** Sources of the project's own are code of its config. */
  readonly noConfig: boolean
  readonly json: boolean
}

/** A place with the input's file, where it is a source's and the input is at hand. */
interface FoundPlace extends RowPlace {
  readonly file: string | undefined
}

const toldText = (value: Told): string => {
  if (typeof value === "string") return JSON.stringify(value)
  return typeof value === "number" ? number(value) : String(value)
}

const withFiles = Effect.fnUntraced(function* (record: RunRecord, row: RowHistory, options: WhyRowCommand) {
  const sources = new Set(record.graph.filter(({ kind }) => kind === "source").map(({ id }) => id))
  const { store, noConfig } = options
  return yield* Effect.forEach(row.places, (place) =>
    Effect.gen(function* () {
      const search = { store, run: record.run, node: place.node, row_id: row.row_id, noConfig }
      const file = sources.has(place.node) ? yield* findInput(search) : undefined
      const found: FoundPlace = { ...place, file }
      return found
    })
  )
})

const placeText = ({ node, port, values, reason, bytes, readers, file }: FoundPlace): string => {
  const head = port === undefined ? `${node} put it aside` : `${node}.${port}`
  const lines = [
    ...(reason === undefined ? [] : [`because: ${reason}`]),
    ...(file === undefined ? [] : [`its file: ${file}`]),
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
    const places = yield* withFiles(record, row, options)
    if (options.json) return yield* out(JSON.stringify({ run: record.run, ...row, places }))
    yield* out([`row ${row.row_id} in run ${record.run}`, ...places.map(placeText)].join("\n"))
  }).pipe(Effect.provide(existingStore(options.store)))
