/**
 * Benchmarks against peers.   npm run bench -- train [CASE...] [--json] [--python PATH] [--threads N] [--steps N] [--repeats N]
 *
 *   train  one training step, against the same model with the same weights and batch in PyTorch (bench/peers/train.py);
 *          one step of clip-tiny-4096 or clip-tiny-32768, large batches by gradient caching, only where they are named and without a peer
 *
 * Ours and the peer run one after the other, each in a process of its own, `repeats` times in turn (A B A B). A time is the median over all
 * steps of all runs, the ratio is ours to the peer's, the spread is the largest relative difference between two runs of one side. With
 * --json each case is one line {case, ours_s, peer_s, ratio, spread, ours_mb, peer_mb, runs, peer}; without a peer its fields are null.
 */
import { execFile } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs, promisify } from "node:util"
import type { HostTensors } from "@bootlace/engine"
import type { TrainCase } from "./TrainCase.ts"
import { eos_token_id, learning_rate, trainCases } from "./TrainCase.ts"

interface Run {
  readonly losses: Readonly<Record<string, number>>
  readonly seconds: ReadonlyArray<number>
  readonly mb: number
  readonly peer?: string
}

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    python: { type: "string", default: process.env.PYTHON ?? "python3" },
    threads: { type: "string", default: "2" },
    steps: { type: "string", default: "12" },
    repeats: { type: "string", default: "2" }
  }
})

const say = (line: string) => console.error(line)
const run = async (command: string, ...settings: ReadonlyArray<string>): Promise<string> =>
  (await promisify(execFile)(command, settings, { maxBuffer: 1 << 26 })).stdout

/** Weights, batch and settings for the peer: one file of bytes, one that says what is where. */
async function writeCase(folder: string, { weights, inputs, start, program, optimizer }: TrainCase): Promise<void> {
  const chunks: Array<Uint8Array> = []
  let offset = 0
  const place = (tensors: HostTensors) =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, { shape, dtype, data }]) => {
        const entry = { shape, dtype, offset, bytes: data.byteLength }
        chunks.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
        offset += data.byteLength
        return [name, entry]
      })
    )
  const { betas, eps, weight_decay, clamp } = optimizer
  const setting = {
    weights: place(weights),
    inputs: place(inputs),
    state: place(start.state),
    twin: program.twin,
    betas,
    eps,
    weight_decay,
    clamp,
    eos_token_id,
    lr: learning_rate
  }
  await writeFile(join(folder, "tensors.json"), JSON.stringify(setting))
  await writeFile(join(folder, "tensors.bin"), Buffer.concat(chunks))
}

const median = (numbers: ReadonlyArray<number>): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!
const medianOf = (runs: ReadonlyArray<Run>): number => median(runs.flatMap(({ seconds }) => seconds))
const spreadOf = (runs: ReadonlyArray<Run>): number => {
  const medians = runs.map(({ seconds }) => median(seconds))
  return (Math.max(...medians) - Math.min(...medians)) / Math.min(...medians)
}
const rounded = (number: number, digits: number): number => Number(number.toFixed(digits))

function summary(name: string, ours: ReadonlyArray<Run>, peers: ReadonlyArray<Run>) {
  const peer = peers.length === 0 ? undefined : { seconds: medianOf(peers), mb: Math.max(...peers.map(({ mb }) => mb)) }
  const seconds = medianOf(ours)
  return {
    case: name,
    ours_s: rounded(seconds, 4),
    peer_s: peer === undefined ? null : rounded(peer.seconds, 4),
    ratio: peer === undefined ? null : rounded(seconds / peer.seconds, 3),
    spread: rounded(Math.max(spreadOf(ours), peers.length === 0 ? 0 : spreadOf(peers)), 3),
    ours_mb: Math.round(Math.max(...ours.map(({ mb }) => mb))),
    peer_mb: peer === undefined ? null : Math.round(peer.mb),
    runs: ours.length,
    peer: peers[0]?.peer ?? null
  }
}

/** The same weights and batch must give the same losses, or the two time different things. */
function compareLosses(name: string, ours: Run, peer: Run): void {
  for (const [loss, value] of Object.entries(ours.losses)) {
    const theirs = peer.losses[loss] ?? Number.NaN
    if (!(Math.abs(value - theirs) < 1e-3))
      throw new Error(`${name}: ${loss} is ${value} here and ${theirs} in the peer`)
  }
}

/** One step is enough for its memory, and the peer has no such step. */
async function trainCached(name: string): Promise<void> {
  const line = summary(
    name,
    [JSON.parse(await run(process.execPath, here("ours.ts"), name, values.threads, "1")) as Run],
    []
  )
  console.log(values.json ? JSON.stringify(line) : table(line))
}

async function train(names: ReadonlyArray<string>): Promise<void> {
  const { python, threads, steps, repeats } = values
  const version = await run(python, "-c", "import torch; print(torch.__version__)").catch(() => undefined)
  if (version === undefined) {
    say(
      `PyTorch skipped: ${python} can't import torch. pip install -r bench/peers/requirements.txt, or name one with --python.`
    )
  }
  for (const name of names) {
    const folder = await mkdtemp(join(tmpdir(), "bootlace-bench-"))
    const [ours, peers]: [Array<Run>, Array<Run>] = [[], []]
    try {
      await writeCase(folder, trainCases[name]!())
      for (let repeat = 0; repeat < Number(repeats); repeat++) {
        ours.push(JSON.parse(await run(process.execPath, here("ours.ts"), name, threads, steps)) as Run)
        if (version === undefined) continue
        peers.push(JSON.parse(await run(python, here("peers/train.py"), name, folder, threads, steps)) as Run)
        compareLosses(name, ours[0]!, peers[0]!)
      }
    } finally {
      await rm(folder, { recursive: true })
    }
    const line = summary(name, ours, peers)
    console.log(values.json ? JSON.stringify(line) : table(line))
  }
}

const table = (line: ReturnType<typeof summary>): string => {
  const peer =
    line.peer === null ? "no peer" : `${line.peer}: ${line.peer_s} s, ${line.peer_mb} MB; ratio ${line.ratio}`
  return `${line.case}: ${line.ours_s} s a step, ${line.ours_mb} MB; ${peer}; spread ${line.spread} over ${line.runs} runs each`
}

const [suite, ...chosen] = positionals
const unknown = chosen.find((name) => trainCases[name] === undefined)
if (suite !== "train" || unknown !== undefined) {
  say(
    unknown === undefined
      ? `benchmarks: train; got ${suite ?? "none"}`
      : `no case ${unknown}; there are ${Object.keys(trainCases).join(", ")}`
  )
  process.exit(2)
}
const isCached = (name: string): boolean => trainCases[name]!().cached !== undefined
const whole = (chosen.length > 0 ? chosen : Object.keys(trainCases)).filter((name) => !isCached(name))
if (whole.length > 0) await train(whole)
for (const name of chosen.filter(isCached)) await trainCached(name)
