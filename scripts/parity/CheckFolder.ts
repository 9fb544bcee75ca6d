/** All rows of the cases under a folder, in order, as they become known. */
import type { Files } from "@bootlace/data"
import type { Engine } from "@bootlace/engine"
import { Effect } from "effect"
import { statSync } from "node:fs"
import { failed, guarded } from "./Check.ts"
import type { Check } from "./Check.ts"
import { findCases } from "./FindCases.ts"
import { decodingChecks } from "./PixelChecks.ts"
import { runCase } from "./RunCase.ts"

export interface Row extends Check {
  readonly case: string
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** `start`: an absolute path. Without a case below it there is one row, which failed. */
export const checkFolder = (
  start: string,
  onRow: (row: Row) => void = () => {}
): Effect.Effect<ReadonlyArray<Row>, never, Engine | Files> =>
  Effect.gen(function* () {
    const cases = isFolder(start) ? findCases(start) : []
    const rows: Array<Row> = []
    const report = (name: string, checks: ReadonlyArray<Check>): void => {
      for (const check of checks) {
        const row = { ...check, case: name }
        rows.push(row)
        onRow(row)
      }
    }
    if (cases.length === 0) report(start, [failed("cases", "no case folder found")])
    for (const collection of new Set(cases.flatMap((each) => each.collection ?? [])))
      report("images", yield* guarded("decoded images", decodingChecks(collection)))
    for (const each of cases) report(each.name, yield* runCase(each, cases))
    return rows
  })
