import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { artifactsOf, bootlace, emptyFolder, runJson } from "../../../test/bootlace.ts"

interface TraceEvent {
  readonly ph: "M" | "X"
  readonly tid: number
  readonly name: string
  readonly cat?: string
  readonly ts: number
  readonly dur: number
  readonly args: { readonly node?: string; readonly name?: string }
}

interface Trace {
  readonly traceEvents: ReadonlyArray<TraceEvent>
  readonly otherData: {
    readonly kernels: ReadonlyArray<{
      readonly program: string
      readonly runs: number
      readonly microseconds: number
      readonly kernels: Readonly<Record<string, { readonly calls: number; readonly microseconds: number }>>
    }>
  }
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)
const pipeline = ["pipelines/micro/clip.yaml", "--threads", "1"]

describe("run --profile", () => {
  it("writes a trace whose sums are the run's, and changes no byte of it", async () => {
    const store = join(emptyFolder(), "store")
    const run = await runJson([...pipeline, "--store", store, "--profile"])
    const path = join(store, "runs", run.run, "trace.json")
    const { traceEvents, otherData } = JSON.parse(readFileSync(path, "utf8")) as Trace
    const spans = traceEvents.filter(({ ph }) => ph === "X")
    const of = (node: string, stage: string) => spans.filter(({ cat, args }) => cat === stage && args.node === node)

    const off = Object.entries(run.nodes).filter(
      ([id, { seconds }]) => Math.abs(sum(of(id, "node").map(({ dur }) => dur)) / 1e6 - seconds) > 1e-5
    )
    expect(off).toEqual([])

    // Every part of a node's work that the engine or the host did lies inside the node's own.
    for (const [id, stage] of [
      ["image", "prepare"],
      ["image", "compute"],
      ["train", "compute"]
    ] as const) {
      const whole = of(id, "node")
      expect(of(id, stage).length).toBeGreaterThan(0)
      for (const { ts, dur } of of(id, stage))
        expect(whole.some((span) => ts >= span.ts - 1 && ts + dur <= span.ts + span.dur + 1)).toBe(true)
    }
    expect(of("train", "compute")).toHaveLength(12)

    // Spans on one line of the viewer don't overlap, and every line has a name.
    const named = new Set(
      traceEvents.flatMap(({ ph, name, tid }) => (ph === "M" && name === "thread_name" ? [tid] : []))
    )
    for (const lane of Map.groupBy(spans, ({ tid }) => tid).values()) {
      expect(named.has(lane[0]!.tid)).toBe(true)
      const overlaps = lane.filter(({ ts }, i) => i > 0 && ts < lane[i - 1]!.ts + lane[i - 1]!.dur - 1e-2)
      expect(overlaps).toEqual([])
    }

    // Kernels run one after the other: together they take no longer than their runs, nor those than the steps that asked.
    const training = otherData.kernels.find(({ program }) => program.startsWith("Train"))!
    expect(training.runs).toBeGreaterThan(0)
    expect(Object.keys(training.kernels).join()).toMatch(/Gemm|MatMul/)
    const kernels = sum(Object.values(training.kernels).map(({ microseconds }) => microseconds))
    expect(kernels).toBeGreaterThan(0)
    expect(kernels).toBeLessThanOrEqual(training.microseconds)
    expect(training.microseconds).toBeLessThan(sum(of("train", "compute").map(({ dur }) => dur)))

    const again = await runJson([...pipeline, "--store", store])
    expect(Object.values(again.nodes).every(({ cached }) => cached)).toBe(true)
    expect(artifactsOf(again)).toEqual(artifactsOf(run))
    expect(existsSync(join(store, "runs", again.run, "trace.json"))).toBe(false)
    expect(readdirSync(join(store, "runs", run.run)).filter((name) => name.includes("session-"))).toEqual([])
  }, 120_000)

  it("prints tables by node, edge and kernel family", async () => {
    const { status, stdout } = await bootlace(["run", ...pipeline, "--store", join(emptyFolder(), "s"), "--profile"])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^node +seconds +prepare +compute +write$/m)
    expect(stdout).toMatch(/^train +\d+\.\d\d +- +\d+\.\d\d +-$/m)
    expect(stdout).toMatch(/^human -> image, text +\d+\.\d\d +\d+$/m)
    expect(stdout).toMatch(/matrix products +\d+% +\d+\.\d{3} +\d+$/m)
    expect(stdout).toMatch(/^trace .*trace\.json$/m)
  }, 120_000)
})
