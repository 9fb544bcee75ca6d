/**
 * Where `bootlace engine install tensorflow` puts its files: a folder of the user's cache, one per version of library and binding.
 *
 *   <cache>/bootlace/tensorflow/<version>-<variant>-<platform>/
 *     libtensorflow_cc.so.2, libtensorflow_framework.so.2   out of TensorFlow's wheel
 *     tfjs_binding.node                                     compiled against them
 *     installed.json                                        written last: what is here is whole
 */
import { readFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { EngineError } from "../../EngineError.ts"

/** The TensorFlow whose library is provisioned. */
export const tensorflowVersion = "2.21.0"

export type Variant = "cpu" | "cuda"

/** XDG_CACHE_HOME, or ~/.cache. */
export const cacheFolder = (): string => {
  const set = process.env.XDG_CACHE_HOME
  return set !== undefined && set !== "" ? set : join(homedir(), ".cache")
}

export const installationFolder = (variant: Variant): string =>
  join(cacheFolder(), "bootlace", "tensorflow", `${tensorflowVersion}-${variant}-${process.platform}-${process.arch}`)

export const bindingName = "tfjs_binding.node"
export const receiptName = "installed.json"

/** What an installation says of itself. */
export const Receipt = Schema.Struct({
  tensorflow: Schema.String,
  variant: Schema.Literals(["cpu", "cuda"]),
  /** File name and sha256 of the wheel that the library came from. */
  wheel: Schema.String,
  sha256: Schema.String
})
export type Receipt = typeof Receipt.Type

export interface Installation extends Receipt {
  readonly folder: string
}

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Receipt))

/** What is installed, CUDA's first; undefined where there is nothing, or an installation that broke off. */
export const findInstallation: Effect.Effect<Installation | undefined> = Effect.gen(function* () {
  for (const variant of ["cuda", "cpu"] as const) {
    const folder = installationFolder(variant)
    const text = yield* Effect.promise(() => readFile(join(folder, receiptName), "utf8").catch(() => undefined))
    if (text === undefined) continue
    const receipt = yield* Effect.orElseSucceed(decode(text), () => undefined)
    if (receipt !== undefined) return { folder, ...receipt }
  }
  return undefined
})

/** The binding's file. Fails with Unavailable, saying how to get it. */
export const installedBinding: Effect.Effect<string, EngineError> = Effect.flatMap(findInstallation, (found) => {
  if (found !== undefined) return Effect.succeed(join(found.folder, bindingName))
  const detail = `TensorFlow ${tensorflowVersion} is not installed for Bootlace; bootlace engine install tensorflow does that`
  return Effect.fail(new EngineError({ reason: "Unavailable", program: "tensorflow executor", detail }))
})
