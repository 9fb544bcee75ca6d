/** A run's report into a file. */
import type { RunRecord } from "@bootlace/graph"
import { gather, renderPage } from "@bootlace/report"
import * as Effect from "effect/Effect"
import { mkdir, writeFile } from "node:fs/promises"
import { arch, cpus, platform, totalmem } from "node:os"
import { dirname } from "node:path"
import { Failure } from "./Failure.ts"
import { reportStore } from "./ReadRows.ts"
import { version } from "./version.ts"

/** Of the machine that writes the page: a page written later than its run says so by its own versions. */
const environment = (): ReadonlyArray<readonly [string, string]> => [
  ["bootlace", version],
  ["node", process.versions.node],
  [
    "machine",
    `${platform()} ${arch()}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GiB`
  ]
]

export interface ReportOptions {
  readonly record: RunRecord
  readonly path: string
  readonly command: string | undefined
  readonly attribution: string | undefined
}

/** Writes the page; fails only where the file can't be written. */
export const writeReport = Effect.fnUntraced(function* ({ record, path, command, attribution }: ReportOptions) {
  const found = yield* gather(record, yield* reportStore)
  const page = renderPage({
    record,
    environment: environment(),
    ...found,
    ...(command === undefined ? {} : { command }),
    ...(attribution === undefined ? {} : { attribution })
  })
  yield* Effect.tryPromise({
    try: async () => {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, page)
    },
    catch: (cause) =>
      new Failure({ exit: 1, message: `error: report ${path} not written: ${(cause as Error).message}` })
  })
})
