/**
 * One case measured: ours and its peers one after the other, `repeats` times in turn (A B A B), each in a process of its own.
 *
 * A time is the median over all runs, the ratio is ours to the peer's, the spread is the largest relative difference between the medians of
 * two runs of one side, the memory is the largest peak.
 */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { At, Case, Peer, Result } from "./Case.ts"

export interface Settings {
  readonly python: string
  readonly threads: string
  readonly steps: string | undefined
  readonly repeats: number
  /** Names of the peers wanted; undefined: all. */
  readonly peers: ReadonlyArray<string> | undefined
}

/** What --json prints; a case without a peer has nulls. */
export interface Line {
  readonly case: string
  readonly ours_s: number
  readonly peer_s: number | null
  readonly ratio: number | null
  readonly spread: number
  readonly ours_mb: number
  readonly peer_mb: number | null
  readonly runs: number
  readonly peer: string | null
}

export const say = (text: string) => console.error(text)
export const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

const output = async (command: string, settings: ReadonlyArray<string>): Promise<string> =>
  (await promisify(execFile)(command, settings, { maxBuffer: 1 << 26 })).stdout

/** The result is the last line; what a program logs before it is its own. */
export const resultOf = async (command: string, settings: ReadonlyArray<string>): Promise<Result> =>
  JSON.parse((await output(command, settings)).trimEnd().split("\n").at(-1)!) as Result

const succeeds = (command: string, ...settings: ReadonlyArray<string>): Promise<boolean> =>
  output(command, settings).then(
    () => true,
    () => false
  )

const findModules = "import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in sys.argv[1:]))"

/** Why a peer can't run here, in words. */
async function lacking({ modules, requirements, program, self }: Peer, python: string): Promise<string | undefined> {
  if (self) {
    const missing = modules.filter((name) => !existsSync(here(join("peers", "node_modules", name))))
    if (missing.length === 0) return undefined
    return `bench/peers has no ${missing.join(", ")}. npm install --prefix bench/peers --ignore-scripts --no-package-lock`
  }
  if (!(await succeeds(python, "-c", findModules, ...modules)))
    return `${python} has no ${modules.join(", ")}. pip install -r bench/peers/${requirements}, or name another Python with --python`
  if (program !== undefined && !(await succeeds(program, "--version"))) return `there is no ${program} on the path`
  return undefined
}

async function usable(one: Case, { python, peers }: Settings): Promise<ReadonlyArray<Peer>> {
  const found: Array<Peer> = []
  for (const peer of one.peers) {
    if (peers === undefined ? peer.named : !peers.includes(peer.name)) continue
    const why = await lacking(peer, python)
    if (why === undefined) found.push(peer)
    else say(`${one.name}: peer ${peer.name} skipped: ${why}.`)
  }
  return found
}

const median = (numbers: ReadonlyArray<number>): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!
const secondsOf = (runs: ReadonlyArray<Result>): number => median(runs.flatMap(({ seconds }) => seconds))
const peakOf = (runs: ReadonlyArray<Result>): number => Math.max(...runs.map(({ mb }) => mb))
const spreadOf = (runs: ReadonlyArray<Result>): number => {
  const medians = runs.map(({ seconds }) => median(seconds))
  return runs.length === 0 ? 0 : (Math.max(...medians) - Math.min(...medians)) / Math.min(...medians)
}
const rounded = (number: number, digits: number): number => Number(number.toFixed(digits))

function line(name: string, ours: ReadonlyArray<Result>, peers: ReadonlyArray<Result>): Line {
  const [own, peer] = [secondsOf(ours), peers.length === 0 ? undefined : secondsOf(peers)]
  return {
    case: name,
    ours_s: rounded(own, 6),
    peer_s: peer === undefined ? null : rounded(peer, 6),
    ratio: peer === undefined ? null : rounded(own / peer, 3),
    spread: rounded(Math.max(spreadOf(ours), spreadOf(peers)), 3),
    ours_mb: Math.round(peakOf(ours)),
    peer_mb: peer === undefined ? null : Math.round(peakOf(peers)),
    runs: ours.length,
    peer: peers[0]?.peer ?? null
  }
}

/** One line for each peer; one without a peer where none can run. Throws where a peer's outputs aren't ours. */
export async function measure(one: Case, settings: Settings): Promise<ReadonlyArray<Line>> {
  const peers = await usable(one, settings)
  const folder = await mkdtemp(join(tmpdir(), "bootlace-bench-"))
  const at: At = { folder, threads: settings.threads, steps: settings.steps ?? String(one.steps) }
  const ours: Array<Result> = []
  const theirs = new Map(peers.map((peer) => [peer, [] as Array<Result>]))
  try {
    await one.prepare?.(folder)
    for (let repeat = 0; repeat < settings.repeats; repeat++) {
      const [file, ...rest] = one.ours(at)
      ours.push(await resultOf(process.execPath, [here(file!), ...rest]))
      for (const [peer, runs] of theirs) {
        const [script, ...given] = peer.command(at)
        const result = peer.self
          ? await resultOf(process.execPath, [here(script!), ...given])
          : await resultOf(settings.python, [here(join("peers", script!)), ...given])
        const difference = one.differs(ours[0]!.outputs, result.outputs)
        if (difference !== undefined)
          throw new Error(`${one.name}: ${peer.name} computes something else: ${difference}`)
        runs.push(result)
      }
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  return theirs.size === 0 ? [line(one.name, ours, [])] : [...theirs.values()].map((runs) => line(one.name, ours, runs))
}
