import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Files, listInside, resolveInside } from "../src/index.ts"
import { temporaryFolder } from "./folders.ts"

const makeFolder = Effect.gen(function* () {
  const outer = yield* temporaryFolder({ "secret.txt": "x", "root/a.txt": "a", "root/sub/b.txt": "b" })
  const root = join(outer, "root")
  symlinkSync("../secret.txt", join(root, "out.txt"))
  symlinkSync("..", join(root, "sub/up"))
  symlinkSync("sub/b.txt", join(root, "in.txt"))
  return { outer, root, real: realpathSync(root) }
})

describe("resolveInside", () => {
  it.effect("resolves what is inside, links too", () =>
    Effect.gen(function* () {
      const { root, real } = yield* makeFolder
      assert.strictEqual(yield* resolveInside(root, "sub/b.txt"), join(real, "sub/b.txt"))
      assert.strictEqual(yield* resolveInside(root, "in.txt"), join(real, "sub/b.txt"))
      assert.strictEqual(yield* resolveInside(root, "./a.txt"), join(real, "a.txt"))
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )
})

describe("listInside", () => {
  it.effect("lists files in code unit order, follows links once and skips hidden names", () =>
    Effect.gen(function* () {
      const { root } = yield* makeFolder
      writeFileSync(join(root, ".hidden"), "")
      mkdirSync(join(root, ".git"))
      writeFileSync(join(root, ".git/x.txt"), "")
      writeFileSync(join(root, "B.txt"), "")
      assert.deepStrictEqual(yield* listInside(root), ["B.txt", "a.txt", "in.txt", "out.txt", "sub/b.txt"])
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )
})
