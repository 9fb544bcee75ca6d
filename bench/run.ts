/**
 * Benchmarks against peers.
 *
 *   npm run bench -- train|infer|data|all [CASE...] [--json] [--peers NAME,...] [--python PATH] [--threads N] [--steps N] [--repeats N] [--nano]
 *
 * Each case is an entry of a table: bench/train/cases.ts and its neighbours. With --json there is one line for each case and peer {case,
 * ours_s, peer_s, ratio, spread, ours_mb, peer_mb, runs, peer}; without a peer its fields are null. --nano runs the same cases on models of hardly any size: whether they run and agree takes seconds to
 * see, their times say nothing. docs/performance.md has the method.
 */
import { parseArgs } from "node:util"
import type { Case } from "./Case.ts"
import { here, measure, resultOf, say } from "./Measure.ts"
import type { Line } from "./Measure.ts"
import { dataCases } from "./data/cases.ts"
import { inferCases } from "./infer/cases.ts"
import { trainCases } from "./train/cases.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    peers: { type: "string" },
    python: { type: "string", default: process.env.PYTHON ?? "python3" },
    threads: { type: "string", default: "2" },
    steps: { type: "string" },
    repeats: { type: "string", default: "2" },
    nano: { type: "boolean", default: false }
  }
})

const cases: ReadonlyArray<Case> = [...trainCases(values.nano), ...inferCases(values.nano), ...dataCases(values.nano)]

const usage = (message: string): never => {
  say(message)
  process.exit(2)
}

const suites = ["train", "infer", "data", "all"]

function chosenCases(): ReadonlyArray<Case> {
  const [suite = "", ...names] = positionals
  if (!suites.includes(suite)) return usage(`expected ${suites.join(", ")}; got ${suite || "nothing"}`)
  const known = cases.filter((one) => suite === "all" || one.suite === suite)
  const unknown = names.find((name) => !known.some((one) => one.name === name))
  if (unknown !== undefined)
    return usage(`no case ${unknown} of ${suite}; there are ${known.map(({ name }) => name).join(", ")}`)
  return known.filter(({ name, named }) => (names.length === 0 ? named !== true : names.includes(name)))
}

const short = (number: number): string => String(Number(number.toPrecision(3)))

/** A case for people: its time and rate, the peer's, and how near the machine's matrix products it is. */
function described({ unit, items, flops }: Case, found: Line, gflops: number): string {
  const rate = items === undefined ? "" : `, ${short(items[0] / found.ours_s)} ${items[1]}/s`
  const own = `${found.case}: ${short(found.ours_s)} s ${unit}${rate}, ${found.ours_mb} MB`
  const peer =
    found.peer === null
      ? "no peer"
      : `${found.peer}: ${short(found.peer_s!)} s, ${found.peer_mb} MB; ratio ${found.ratio}, memory ${short(found.ours_mb / found.peer_mb!)}`
  const limit = flops === undefined ? undefined : flops / gflops / 1e9
  const near =
    limit === undefined ? "" : `; matrix products alone ${short(limit)} s, ${short((100 * limit) / found.ours_s)}%`
  return `${own}; ${peer}; spread ${found.spread} over ${found.runs} runs each${near}`
}

const chosen = chosenCases()
const { threads } = values
const settings = {
  python: values.python,
  threads,
  steps: values.steps,
  repeats: Number(values.repeats),
  peers: values.peers?.split(",")
}

/** Measured once, where there is a reader for it. */
const matmulRate = async (): Promise<number> => {
  const { outputs } = await resultOf(process.execPath, [here("Matmul.ts"), threads])
  const { gflops } = outputs as { readonly gflops: number }
  console.log(`${threads} threads; fp32 matrix products at ${short(gflops)} GFLOP/s`)
  return gflops
}

const gflops = values.json ? 0 : await matmulRate()
for (const one of chosen) {
  try {
    for (const found of await measure(one, settings))
      console.log(values.json ? JSON.stringify(found) : described(one, found, gflops))
  } catch (cause) {
    // The other cases go on.
    say(`${one.name} failed: ${(cause as Error).message.slice(0, 4000)}`)
    process.exitCode = 1
  }
}
