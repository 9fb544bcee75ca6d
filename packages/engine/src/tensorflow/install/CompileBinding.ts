/** @tensorflow/tfjs-node-gpu's binding, compiled against the library from the wheel: two C++ files, which npm brought. */
import { mkdir, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { bindingName } from "./Installation.ts"
import { cannotInstall, firstThatExists, runProgram } from "./Tools.ts"

const package_ = "@tensorflow/tfjs-node-gpu"

export const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const

const findSources = Effect.gen(function* () {
  const found = yield* Effect.try({
    try: () => join(dirname(createRequire(import.meta.url).resolve(`${package_}/package.json`)), "binding"),
    catch: () =>
      cannotInstall(`${package_} is not installed; it is an optional dependency: npm install --include=optional`)
  })
  if ((yield* firstThatExists([join(found, "tfjs_binding.cc")])) !== undefined) return found
  return yield* cannotInstall(`${package_} has no binding/tfjs_binding.cc: ${found}`)
})

export interface BindingPlaces {
  readonly compiler: string
  readonly nodeHeaders: string
  /** Holds tensorflow/ with libraries and include/; the binding is put here. */
  readonly folder: string
}

/**
 * Linking against the library itself makes the linker read a gigabyte of symbols; empty ones of the same names record the same dependency.
 */
const linkStubs = Effect.fnUntraced(function* (compiler: string, folder: string) {
  const source = join(folder, "empty.cc")
  yield* Effect.promise(async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(source, "")
  })
  for (const name of libraries)
    yield* compile(compiler, ["-shared", source, `-Wl,-soname,${name}`, "-o", join(folder, name)])
  return libraries.map((name) => join(folder, name))
})

const compile = Effect.fnUntraced(function* (compiler: string, args: ReadonlyArray<string>) {
  const { code, output } = yield* runProgram(compiler, args)
  if (code === 0) return
  const error = output.split("\n").find((line) => /error|cannot find/i.test(line)) ?? output.trim().slice(0, 300)
  return yield* cannotInstall(`${compiler} could not compile the binding: ${error}`)
})

export const compileBinding = Effect.fnUntraced(function* ({ compiler, nodeHeaders, folder }: BindingPlaces) {
  const sources = yield* findSources
  const stubs = yield* linkStubs(compiler, join(folder, "link"))
  const includes = [nodeHeaders, folder, join(folder, "tensorflow", "include"), dirname(sources)]
  yield* compile(compiler, [
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-shared",
    "-DNAPI_VERSION=8",
    ...includes.map((include) => `-I${include}`),
    ...["tfjs_backend.cc", "tfjs_binding.cc"].map((name) => join(sources, name)),
    "-Wl,--no-as-needed",
    ...stubs,
    "-Wl,-rpath,$ORIGIN/tensorflow",
    // Node unloads a binding with the last worker that uses it, and TensorFlow's threads would go on in memory that is gone.
    "-Wl,-z,nodelete",
    "-o",
    join(folder, bindingName)
  ])
})
