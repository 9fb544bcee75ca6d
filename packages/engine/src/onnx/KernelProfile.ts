/**
 * Times of the kernels of each session's first runs: ONNX Runtime's own profile, added up by operation as soon as it ends.
 *
 * A session's sums are a file in the profile's folder, so that nothing of it goes through the worker's messages and nothing of it can change
 * a result.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { InferenceSession } from "onnxruntime-common"

export interface KernelTimes {
  /** The program that was compiled. */
  readonly program: string
  readonly runs: number
  /** Of the runs, whole. */
  readonly microseconds: number
  /** By ONNX's name of the operation. */
  readonly kernels: Readonly<Record<string, { readonly calls: number; readonly microseconds: number }>>
}

/** Runs of a session that are profiled; the later ones run as ever. */
const profiledRuns = 10

/** What is read of ONNX Runtime's file. */
interface Event {
  readonly cat: string
  readonly name: string
  readonly dur: number
  readonly args?: { readonly op_name?: string }
}

const suffix = ".kernels.json"

function addUp(program: string, events: ReadonlyArray<Event>): KernelTimes {
  const kernels: Record<string, { calls: number; microseconds: number }> = {}
  const whole = events.filter(({ cat, name }) => cat === "Session" && name === "model_run")
  for (const { cat, name, dur, args } of events) {
    const op = args?.op_name
    if (cat !== "Node" || op === undefined || !name.endsWith("_kernel_time")) continue
    const sum = (kernels[op] ??= { calls: 0, microseconds: 0 })
    sum.calls += 1
    sum.microseconds += dur
  }
  return { program, runs: whole.length, microseconds: whole.reduce((sum, { dur }) => sum + dur, 0), kernels }
}

/** The profile of one session, which lives in the worker. */
export class SessionProfile {
  readonly #folder: string
  readonly #name: string
  readonly #program: string
  #left = profiledRuns

  constructor(folder: string, session: number, program: string) {
    this.#folder = folder
    this.#name = `session-${session}`
    this.#program = program
  }

  /** Options that the session is created with. */
  get options(): InferenceSession.SessionOptions {
    return { enableProfiling: true, profileFilePrefix: join(this.#folder, this.#name) }
  }

  ran(session: InferenceSession): void {
    if (--this.#left === 0) this.#end(session)
  }

  released(session: InferenceSession): void {
    if (this.#left > 0) this.#end(session)
  }

  /** ONNX Runtime appends the time to the file's name. */
  #end(session: InferenceSession): void {
    this.#left = 0
    session.endProfiling()
    const [file] = readdirSync(this.#folder).filter((name) => name.startsWith(`${this.#name}_`))
    if (file === undefined) return
    const path = join(this.#folder, file)
    const times = addUp(this.#program, JSON.parse(readFileSync(path, "utf8")) as ReadonlyArray<Event>)
    rmSync(path)
    writeFileSync(join(this.#folder, this.#name + suffix), JSON.stringify(times))
  }
}

/** Sums of all sessions that have ended, those of one program together. */
export function readKernelTimes(folder: string): ReadonlyArray<KernelTimes> {
  const programs = new Map<string, KernelTimes>()
  for (const name of readdirSync(folder).filter((file) => file.endsWith(suffix))) {
    const one = JSON.parse(readFileSync(join(folder, name), "utf8")) as KernelTimes
    const known = programs.get(one.program)
    programs.set(one.program, known === undefined ? one : together(known, one))
  }
  return [...programs.values()].sort((a, b) => b.microseconds - a.microseconds)
}

function together(a: KernelTimes, b: KernelTimes): KernelTimes {
  const kernels = { ...a.kernels }
  for (const [op, { calls, microseconds }] of Object.entries(b.kernels)) {
    const known = kernels[op] ?? { calls: 0, microseconds: 0 }
    kernels[op] = { calls: known.calls + calls, microseconds: known.microseconds + microseconds }
  }
  return { ...a, runs: a.runs + b.runs, microseconds: a.microseconds + b.microseconds, kernels }
}
