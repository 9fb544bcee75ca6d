/** Programs that the installation calls, and what it says where one is missing. */
import { execFile } from "node:child_process"
import { access } from "node:fs/promises"
import { homedir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { EngineError } from "../../EngineError.ts"

/** The installation's own failures: what is missing or wrong, and what to do about it. */
export const cannotInstall = (detail: string): EngineError =>
  new EngineError({ reason: "Unavailable", program: "engine install tensorflow", detail })

export interface Outcome {
  readonly code: number
  readonly output: string
}

/** Runs a program to its end; fails only where it can't be started. */
export const runProgram = (program: string, args: ReadonlyArray<string>): Effect.Effect<Outcome, EngineError> =>
  Effect.callback((resume, signal) => {
    execFile(program, [...args], { maxBuffer: 1 << 26, signal }, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`
      if (error === null) return resume(Effect.succeed({ code: 0, output }))
      if (typeof error.code === "number") return resume(Effect.succeed({ code: error.code, output }))
      resume(Effect.fail(cannotInstall(`${program} can't be started: ${error.message}`)))
    })
  })

const exists = (file: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    access(file).then(
      () => true,
      () => false
    )
  )

const onPath = (name: string): ReadonlyArray<string> =>
  (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name))

export const firstThatExists = Effect.fnUntraced(function* (files: ReadonlyArray<string>) {
  for (const file of files) if (yield* exists(file)) return file
  return undefined
})

/** The program that an environment variable names, else the first of these on the path. */
const find = (variable: string, names: ReadonlyArray<string>) => {
  const set = process.env[variable]
  return firstThatExists(
    set !== undefined && set !== "" ? [set, ...onPath(set)] : names.flatMap((name) => onPath(name))
  )
}

/** A Python that has pip. */
export const findPython: Effect.Effect<string, EngineError> = Effect.gen(function* () {
  const python = yield* find("PYTHON", ["python3", "python"])
  if (python === undefined)
    return yield* cannotInstall(
      "there is no Python on the path, whose pip fetches TensorFlow's wheel; install Python 3, or name one in PYTHON"
    )
  const { code, output } = yield* runProgram(python, ["-m", "pip", "--version"])
  if (code !== 0)
    return yield* cannotInstall(
      `${python} has no pip: ${lastLine(output)}; install it (Debian: apt install python3-pip), or name another Python in PYTHON`
    )
  return python
})

export const findCompiler: Effect.Effect<string, EngineError> = Effect.gen(function* () {
  const compiler = yield* find("CXX", ["g++", "clang++", "c++"])
  if (compiler !== undefined) return compiler
  return yield* cannotInstall(
    "there is no C++ compiler on the path, which the binding is compiled with; install g++ (Debian: apt install g++), or name one in CXX"
  )
})

/** The folder of node_api.h, which Node brings along; distributions may have it in a package of its own. */
export const findNodeHeaders: Effect.Effect<string, EngineError> = Effect.gen(function* () {
  const places = [
    join(dirname(process.execPath), "..", "include", "node"),
    join(homedir(), ".cache", "node-gyp", process.versions.node, "include", "node"),
    "/usr/include/node"
  ]
  const found = yield* firstThatExists(places.map((folder) => join(folder, "node_api.h")))
  if (found !== undefined) return dirname(found)
  return yield* cannotInstall(
    `Node's headers (node_api.h) are in none of ${places.join(", ")}; \`npx node-gyp install\` fetches them`
  )
})

/** Why a program failed, as far as one line tells. */
export const lastLine = (output: string): string => output.trim().split("\n").at(-1) ?? ""
