/** Runs the real command line as a person would, in a process of its own. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"

export const root = join(import.meta.dirname, "..")
export const bin = join(root, "packages/bootlace/bin/bootlace.js")

export interface Finished {
  /** null where a signal ended it. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly cwd?: string
  readonly command?: ReadonlyArray<string>
  /** Environment variables on top of this process's. */
  readonly env?: Readonly<Record<string, string>>
  /** kill -9 after this many milliseconds. */
  readonly killAfter_ms?: number
}

export const bootlace = (args: ReadonlyArray<string>, options: Options = {}): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const [program, ...before] = options.command ?? [process.execPath, bin]
    const child = spawn(program!, [...before, ...args], {
      cwd: options.cwd ?? root,
      env: { ...process.env, NO_COLOR: "1", ...options.env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const timer =
      options.killAfter_ms === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), options.killAfter_ms)
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
    child.on("error", reject)
    child.on("close", (status) => {
      clearTimeout(timer)
      resolve({ status, stdout, stderr })
    })
  })

export interface RunJson {
  readonly run: string
  readonly status: "done" | "failed"
  readonly seconds: number
  readonly nodes: Readonly<
    Record<
      string,
      {
        readonly op: string
        readonly rows_in: number
        readonly rows_out: number
        readonly rejected: number
        readonly cached: boolean
        readonly seconds: number
        readonly artifact: string
      }
    >
  >
  readonly metrics: Readonly<Record<string, number>>
}

/** `run --json`, which must print exactly one object; fails with what the run said otherwise. */
export const runJson = async (args: ReadonlyArray<string>, options: Options = {}): Promise<RunJson> => {
  const finished = await bootlace(["run", ...args, "--json"], options)
  if (finished.status !== 0) throw new Error(`exit ${finished.status}\n${finished.stderr}\n${finished.stdout}`)
  return JSON.parse(finished.stdout) as RunJson
}

export const artifactsOf = (run: RunJson): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(run.nodes).map(([id, { artifact }]) => [id, artifact]))

/** An empty folder that goes when the test ends. */
export const emptyFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "bootlace-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
