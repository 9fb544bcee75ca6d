/**
 * Paths named by data stay below their folder: no absolute path, no `..`, no NUL, no link that leads out.
 */
import * as Effect from "effect/Effect"
import { isAbsolute, join, relative, resolve, sep } from "node:path"
import { DataError } from "./DataError.ts"
import { Files } from "./Files.ts"
import { defaultLimits, overLimit } from "./limits.ts"
import type { Limits } from "./limits.ts"

const outside = (file: string, detail: string, hint?: string): DataError =>
  new DataError({
    code: "OutsideRoot",
    file: JSON.stringify(file),
    detail,
    expected: "a path below the data's folder",
    ...(hint === undefined ? {} : { hint })
  })

const isInside = (root: string, path: string): boolean => {
  const way = relative(root, path)
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** The real path of `name` below `root`, links resolved. Fails with OutsideRoot or Missing. */
export const resolveInside = Effect.fnUntraced(function* (root: string, name: string) {
  const files = yield* Files
  if (name.includes("\0")) return yield* outside(name, "path holds a NUL")
  if (name === "" || isAbsolute(name) || /^[A-Za-z]:/.test(name)) return yield* outside(name, "path is not relative")
  if (name.split(/[/\\]/).includes("..")) return yield* outside(name, "path goes up")
  const realRoot = yield* files.realPath(root)
  const path = yield* files.realPath(resolve(realRoot, name))
  if (!isInside(realRoot, path))
    return yield* outside(name, "a link leads out", "copy the file in, or name it as the path")
  return path
})

/**
 * All files below a folder as relative paths with `/`, sorted by code unit. Hidden names (`.git`, `.cache`) are passed over;
 * links are followed only inside.
 */
export const listInside = Effect.fnUntraced(function* (root: string, limits: Limits = defaultLimits) {
  const files = yield* Files
  const found: Array<string> = []
  const seen = new Set<string>()
  const todo = [""]
  for (let folder = todo.pop(); folder !== undefined; folder = todo.pop()) {
    const real = folder === "" ? yield* files.realPath(root) : yield* resolveInside(root, folder)
    if (seen.has(real)) continue
    seen.add(real)
    for (const entry of yield* files.list(real)) {
      if (entry.startsWith(".")) continue
      const name = folder === "" ? entry : `${folder}/${entry}`
      const stat = yield* files.stat(join(real, entry))
      if (stat?.kind === "folder") todo.push(name)
      if (stat?.kind === "file") found.push(name)
      const tooMany = overLimit(limits, "folder_files", found.length, { file: root })
      if (tooMany !== undefined) return yield* tooMany
    }
  }
  return found.sort()
})
