/**
 * `bootlace engine install tensorflow`: the library out of TensorFlow's wheel, and the binding compiled against it. Every step that is done is
 * kept, so an installation that broke off goes on where it stopped; only a whole one gets its receipt and its place.
 */
import { existsSync } from "node:fs"
import { mkdir, readdir, rename, rm, statfs, writeFile } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import type { EngineError } from "../../EngineError.ts"
import { compileBinding, libraries } from "./CompileBinding.ts"
import { fetchWheel, pipDownload, wheelFor } from "./Download.ts"
import type { PinnedWheel } from "./Download.ts"
import { bindingName, findInstallation, installationFolder, receiptName, tensorflowVersion } from "./Installation.ts"
import type { Installation, Receipt, Variant } from "./Installation.ts"
import { cannotInstall, findCompiler, findNodeHeaders, findPython, lastLine, runProgram } from "./Tools.ts"
import { withWheel } from "./Wheel.ts"
import type { Wheel } from "./Wheel.ts"

export interface InstallOptions {
  /** Default: cuda where there is an NVIDIA driver, else cpu. */
  readonly variant?: Variant
  readonly say: (line: string) => Effect.Effect<void>
  /** Instead of the pinned wheel of this platform. */
  readonly wheel?: PinnedWheel
}

/** What the binding includes, out of the wheel. */
const headers = [
  ..."c_api c_api_macros tf_attrtype tf_buffer tf_datatype tf_status tf_tensor tf_tstring eager/c_api"
    .split(" ")
    .map((name) => `tensorflow/include/tensorflow/c/${name}.h`),
  ..."tensorflow/core/platform tsl/platform"
    .split(" ")
    .flatMap((folder) => ["ctstring", "ctstring_internal"].map((name) => `tensorflow/include/${folder}/${name}.h`)),
  "tensorflow/include/xla/tsl/c/tsl_status.h"
]

/** Where NVIDIA's driver of a CUDA device shows itself. */
const driver = "/proc/driver/nvidia/version"

export const variantHere = (): Variant => (existsSync(driver) ? "cuda" : "cpu")

const orFail = <A>(what: string, attempt: () => Promise<A>): Effect.Effect<A, EngineError> =>
  Effect.tryPromise({ try: attempt, catch: (cause) => cannotInstall(`${what}: ${(cause as Error).message}`) })

const checkSpace = Effect.fnUntraced(function* (folder: string, { bytes }: PinnedWheel) {
  const { bavail, bsize } = yield* orFail(`${folder} can't be looked at`, () => statfs(folder))
  const free = bavail * bsize
  if (free >= bytes) return
  const shown = (size: number) => `${(size / 1e9).toFixed(1)} GB`
  return yield* cannotInstall(
    `${folder} has ${shown(free)} free, the installation takes ${shown(bytes)}; free some, or put the cache elsewhere with XDG_CACHE_HOME`
  )
})

/** Writes these files of the wheel under a folder; those that are there are whole. */
const unpack = (wheel: Wheel, folder: string, names: ReadonlyArray<string>) =>
  Promise.all(
    names.map(async (name) => {
      const entry = wheel.entries.find((each) => each.name === name)
      if (entry === undefined) throw new Error(`it has no ${name}`)
      const to = join(folder, ...name.split("/"))
      if (!existsSync(to)) await wheel.extract(entry, to)
    })
  )

const isLibrary = /^nvidia\/[a-z0-9_]+\/lib\/[A-Za-z0-9_.+-]+$/

/** NVIDIA's libraries, from the wheels that TensorFlow's names under `and-cuda`; pip checks their hashes against the index. */
const installCuda = Effect.fnUntraced(function* (
  python: string,
  folder: string,
  wheelFile: string,
  { platform }: PinnedWheel
) {
  const metadata = yield* orFail(wheelFile, () =>
    withWheel(wheelFile, (wheel) => wheel.text(wheel.entries.find(({ name }) => name.endsWith(".dist-info/METADATA"))!))
  )
  const named = [...metadata.matchAll(/^Requires-Dist: (nvidia-[^;]+?) *; extra == "and-cuda"/gm)]
  for (const [, requirement] of named) {
    const file = yield* pipDownload(python, join(folder, "nvidia-wheels"), requirement!, platform)
    yield* orFail(file, () =>
      withWheel(file, (wheel) =>
        unpack(
          wheel,
          folder,
          wheel.entries.map(({ name }) => name).filter((name) => isLibrary.test(name))
        )
      )
    )
    yield* Effect.promise(() => rm(file))
  }
})

/** A crash while loading must not be ours. */
const tryBinding = Effect.fnUntraced(function* (folder: string) {
  const script = "console.log('TensorFlow', require(process.argv[1]).TF_Version)"
  const { code, output } = yield* runProgram(process.execPath, ["-e", script, join(folder, bindingName)])
  if (code !== 0 || !output.includes(`TensorFlow ${tensorflowVersion}`))
    return yield* cannotInstall(`the compiled binding doesn't load: ${lastLine(output)}`)
})

/** Gives what is installed afterwards. Fails with Unavailable, saying what is missing and what to do. */
export const installTensorflow = Effect.fnUntraced(function* ({ say, ...options }: InstallOptions) {
  const variant = options.variant ?? variantHere()
  const present = yield* findInstallation
  if (present?.variant === variant) {
    yield* say(`TensorFlow ${present.tensorflow} (${variant}) is installed in ${present.folder}`)
    return present
  }
  const wheel = options.wheel ?? (yield* wheelFor(variant))
  const [python, compiler, nodeHeaders] = [yield* findPython, yield* findCompiler, yield* findNodeHeaders]
  const place = installationFolder(variant)
  const work = `${place}.partial`
  yield* orFail(`${work} can't be made`, () => mkdir(work, { recursive: true }))
  yield* checkSpace(work, wheel)
  yield* say(`fetching ${wheel.package} ${tensorflowVersion} with ${python} -m pip`)
  const file = yield* fetchWheel(python, join(work, "wheel"), wheel)
  yield* say("unpacking the library")
  const names = [...libraries.map((name) => `tensorflow/${name}`), ...headers]
  yield* orFail(file, () => withWheel(file, (opened) => unpack(opened, work, names)))
  if (variant === "cuda") {
    yield* say("fetching NVIDIA's libraries")
    yield* installCuda(python, work, file, wheel)
  }
  yield* say(`compiling the binding with ${compiler}`)
  yield* compileBinding({ compiler, nodeHeaders, folder: work })
  yield* tryBinding(work)
  return yield* finish(work, place, {
    tensorflow: tensorflowVersion,
    variant,
    wheel: basename(file),
    sha256: wheel.sha256
  })
})

const finish = Effect.fnUntraced(function* (work: string, place: string, receipt: Receipt) {
  const needed = new Set(["tensorflow", "nvidia", bindingName])
  yield* orFail(place, async () => {
    for (const name of await readdir(work))
      if (!needed.has(name)) await rm(join(work, name), { recursive: true, force: true })
    await rm(join(work, "tensorflow", "include"), { recursive: true, force: true })
    await writeFile(join(work, receiptName), `${JSON.stringify(receipt)}\n`)
    await rm(place, { recursive: true, force: true })
    await mkdir(dirname(place), { recursive: true })
    await rename(work, place)
  })
  return { folder: place, ...receipt } satisfies Installation
})
