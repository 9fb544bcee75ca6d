/** TensorFlow's wheel, as pip resolves it from the index that the user's pip is set up for. */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import * as Effect from "effect/Effect"
import type { EngineError } from "../../EngineError.ts"
import { tensorflowVersion } from "./Installation.ts"
import type { Variant } from "./Installation.ts"
import { cannotInstall, lastLine, runProgram } from "./Tools.ts"

export interface PinnedWheel {
  /** pip's name of the package. */
  readonly package: string
  readonly sha256: string
  /** pip's platform tag. */
  readonly platform: string
  /** What download and unpacking take. */
  readonly bytes: number
}

const gigabyte = 1e9

/** One file each: TensorFlow's library doesn't depend on the Python that the wheel is for, so that is fixed. */
const wheels: Readonly<Record<string, PinnedWheel>> = {
  "cpu linux x64": {
    package: "tensorflow-cpu",
    sha256: "2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
    platform: "manylinux_2_27_x86_64",
    bytes: 1.3 * gigabyte
  },
  "cuda linux x64": {
    package: "tensorflow",
    sha256: "9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124",
    platform: "manylinux_2_27_x86_64",
    bytes: 10 * gigabyte
  }
}

/** Fails where there is no wheel with a known hash. */
export const wheelFor = (variant: Variant): Effect.Effect<PinnedWheel, EngineError> => {
  const here = `${variant} ${process.platform} ${process.arch}`
  const wheel = wheels[here]
  if (wheel !== undefined) return Effect.succeed(wheel)
  const known = Object.keys(wheels).join(", ")
  return Effect.fail(cannotInstall(`no wheel of TensorFlow is known for ${here}, only for ${known}; use --engine onnx`))
}

export const sha256Of = (file: string): Effect.Effect<string, EngineError> =>
  Effect.tryPromise({
    try: async () => {
      const hash = createHash("sha256")
      await pipeline(createReadStream(file), hash)
      return hash.digest("hex")
    },
    catch: (cause) => cannotInstall(`${file} can't be read: ${(cause as Error).message}`)
  })

const wheelsIn = (folder: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    await mkdir(folder, { recursive: true })
    return (await readdir(folder)).filter((name) => name.endsWith(".whl")).map((name) => join(folder, name))
  })

/** The one wheel in the folder that pip leaves there for a requirement. */
export const pipDownload = Effect.fnUntraced(function* (
  python: string,
  folder: string,
  requirement: string,
  platform: string
) {
  const before = new Set(yield* wheelsIn(folder))
  const target = ["--platform", platform, "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
  // A library without Python code of its own is tagged for any.
  const any = ["--abi", "none", "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"]
  const options = ["--no-deps", "--only-binary=:all:", ...target, ...any, "--retries", "10", "--dest", folder]
  const { code, output } = yield* runProgram(python, ["-m", "pip", "download", ...options, requirement])
  if (code !== 0)
    return yield* cannotInstall(
      `pip could not fetch ${requirement}: ${lastLine(output)}; \`${python} -m pip config list\` says which index it asks`
    )
  const found = (yield* wheelsIn(folder)).find((file) => !before.has(file))
  return found ?? (yield* cannotInstall(`pip fetched ${requirement}, but left no wheel in ${folder}`))
})

/** The wheel of TensorFlow in this folder, downloaded unless it is there; its hash is the pinned one. */
export const fetchWheel = Effect.fnUntraced(function* (python: string, folder: string, wheel: PinnedWheel) {
  for (const file of yield* wheelsIn(folder)) {
    if ((yield* sha256Of(file)) === wheel.sha256) return file
    yield* Effect.promise(() => rm(file))
  }
  const requirement = `${wheel.package}==${tensorflowVersion}`
  const file = yield* pipDownload(python, folder, requirement, wheel.platform)
  const sha256 = yield* sha256Of(file)
  if (sha256 === wheel.sha256) return file
  yield* Effect.promise(() => rm(file))
  return yield* cannotInstall(
    `the wheel that pip fetched for ${requirement} has the sha256 ${sha256}, expected ${wheel.sha256}; it was removed`
  )
})
