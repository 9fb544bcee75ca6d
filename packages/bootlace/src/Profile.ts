/** `run --profile`: time by node, edge and kernel family as tables, and a trace beside the run's record. */
import { Files } from "@bootlace/data"
import { readKernelTimes } from "@bootlace/engine"
import type { KernelTimes } from "@bootlace/engine"
import { Spans } from "@bootlace/graph"
import type { RunRecord } from "@bootlace/graph"
import { chromeTrace, familyTimes, SpanSums } from "@bootlace/report"
import { writeRunFile } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { RunOptions } from "./Invocation.ts"
import { note, out } from "./Screen.ts"
import { table } from "./Table.ts"

const right = (...titles: ReadonlyArray<string>) => titles.map((title) => ({ title, align: "right" as const }))

/** Hundredths of a second, and a dash where there was nothing. */
const cell = (seconds: number): string => (seconds === 0 ? "-" : seconds.toFixed(2))

const nodeTable = (sums: SpanSums): string =>
  table(
    [{ title: "node" }, ...right("seconds", "prepare", "compute", "write")],
    sums.nodes.map(({ node, seconds: { node: all, prepare, compute, write } }) => [
      node,
      ...[all, prepare, compute, write].map(cell)
    ])
  )

const edgeTable = (sums: SpanSums): string =>
  table(
    [{ title: "waiting for rows" }, ...right("seconds", "times")],
    sums.edges.map(({ edge, seconds, times }) => [edge, cell(seconds), String(times)])
  )

/** The families of a program, and what is left of its runs. */
const partsOf = (one: KernelTimes): ReturnType<typeof familyTimes> => {
  const known = familyTimes(one)
  const left = known.reduce((rest, { microseconds }) => rest - microseconds, one.microseconds)
  return [...known, { family: "between kernels", calls: 0, microseconds: left }]
}

/** Parts under a hundredth of a program aren't shown. */
const kernelTable = (programs: ReadonlyArray<KernelTimes>): string =>
  table(
    [{ title: "program" }, { title: "kernels" }, ...right("share", "ms a run", "calls a run")],
    programs.flatMap((one) =>
      partsOf(one)
        .filter(({ microseconds }) => microseconds >= one.microseconds / 100)
        .map(({ family, calls, microseconds }, i) => [
          i === 0 ? one.program : "",
          family,
          `${((100 * microseconds) / one.microseconds).toFixed(0)}%`,
          (microseconds / one.runs / 1000).toFixed(3),
          (calls / one.runs).toFixed(0)
        ])
    )
  )

/** Runs with everything listened to; `work` gets the folder for the engine's own profile. The engine must be closed when it ends. */
export const profiled = <E, R>(
  { store, json }: Pick<RunOptions, "store" | "json">,
  work: (folder: string) => Effect.Effect<RunRecord, E, R>
) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "bootlace-profile-"))),
      (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
    )
    const sums = new SpanSums()
    const record = yield* work(folder).pipe(Effect.provideService(Spans, sums.tell))
    const kernels = yield* Effect.sync(() => readKernelTimes(folder))
    const trace = chromeTrace(`${record.pipeline} ${record.run}`, sums.spans, kernels)
    yield* writeRunFile(store, record.run, "trace.json", trace).pipe(Effect.provide(Files.layer))
    const tables = [nodeTable(sums), edgeTable(sums), ...(kernels.length === 0 ? [] : [kernelTable(kernels)])]
    const text = [...tables, `trace ${join(store, "runs", record.run, "trace.json")}`].join("\n\n")
    yield* json ? note(text) : out(text)
  }).pipe(Effect.scoped)
