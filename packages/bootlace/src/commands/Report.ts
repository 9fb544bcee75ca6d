/** `bootlace report`: the page of a run that is in the store already. */
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { attributionOf, loadConfig } from "../ConfigFile.ts"
import { findRun } from "../FindRun.ts"
import { existingStore } from "../Machinery.ts"
import { out } from "../Screen.ts"
import { writeReport } from "../WriteReport.ts"

export interface ReportCommand {
  readonly run: string
  readonly store: string
  readonly out: string | undefined
  readonly noConfig: boolean
}

export const report = Effect.fnUntraced(function* (options: ReportCommand) {
  const config = yield* loadConfig(process.cwd(), options.noConfig)
  const work = Effect.gen(function* () {
    const record = yield* findRun(options.store, options.run)
    const path = options.out ?? join(options.store, "runs", record.run, "report.html")
    const attribution = attributionOf(
      config,
      record.graph.map((node) => node.op)
    )
    yield* writeReport({ record, path, command: undefined, attribution })
    yield* out(path)
  })
  yield* work.pipe(Effect.provide(existingStore(options.store)))
})
