/**
 * R15: names that try to leave their folder: `..`, absolute paths, drives, links, NUL, very long ones, device names of Windows,
 * two spellings of one letter; in a data set, as keys of the store and as names of its files.
 */
import { ArtifactStore, Files, openPairs, resolveInside, sha256 } from "@bootlace/data"
import { Effect, Layer, Stream } from "effect"
import { mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { emptyFolder } from "../bootlace.ts"
import { chances, figure, patience, times } from "./torture.ts"

const escapes = [
  "../secret.txt",
  "sub/../../secret.txt",
  "sub/../a.txt",
  "..",
  "../",
  "./../secret.txt",
  "/etc/passwd",
  "/",
  "//server/share",
  "C:\\x",
  "c:x",
  "C:/x",
  "..\\secret.txt",
  "sub\\..\\..\\secret.txt",
  "\0",
  "a\0.txt",
  "a.txt\0/../../secret.txt",
  "",
  "out.txt",
  "sub/up/../secret.txt",
  "sub/up/secret.txt",
  "outer"
]

/** Stay inside, so there is nothing there, or what is there. */
const harmless = [
  "CON",
  "NUL.txt",
  "x".repeat(300),
  "%2e%2e/secret.txt",
  "..%2fsecret.txt",
  "... /a",
  "caf\u00e9",
  "cafe\u0301",
  "~",
  "$HOME"
]

const makeFolder = (): { readonly outer: string; readonly root: string } => {
  const outer = emptyFolder()
  const root = join(outer, "root")
  mkdirSync(join(root, "sub"), { recursive: true })
  writeFileSync(join(outer, "secret.txt"), "secret")
  writeFileSync(join(root, "a.txt"), "a")
  writeFileSync(join(root, "sub/b.txt"), "b")
  symlinkSync("../secret.txt", join(root, "out.txt"))
  symlinkSync("../..", join(root, "sub/up"))
  symlinkSync("..", join(root, "outer"))
  return { outer, root }
}

const run = <A, E>(effect: Effect.Effect<A, E, Files>) =>
  Effect.runPromise(Effect.result(Effect.provide(effect, Files.layer)))

const letters = [
  "..",
  ".",
  "a.txt",
  "sub",
  "up",
  "out.txt",
  "secret.txt",
  "root",
  "",
  "\0",
  "\\",
  "C:",
  "x".repeat(300),
  "\u202e",
  "cafe\u0301",
  " "
]

describe("names from outside", () => {
  it(
    "R15: every path stays below its folder",
    async () => {
      const { outer, root } = makeFolder()
      const real = realpathSync(root)
      for (const name of escapes) {
        const result = await run(resolveInside(root, name))
        assert.strictEqual(result._tag, "Failure", name)
        if (result._tag === "Failure") assert.strictEqual(result.failure.code, "OutsideRoot", name)
      }
      for (const name of harmless) {
        const result = await run(resolveInside(root, name))
        assert.strictEqual(result._tag, "Failure", name)
        if (result._tag === "Failure") assert.include(["Missing", "Unreadable"], result.failure.code, name)
      }
      const chance = chances("R15")
      const tried = times(3_000)
      let resolved = 0
      for (let i = 0; i < tried; i++) {
        const parts = Array.from(
          { length: Math.floor(chance() * 6) },
          () => letters[Math.floor(chance() * letters.length)]!
        )
        const name = parts.join(chance() < 0.9 ? "/" : "\\")
        const result = await run(resolveInside(root, name))
        if (result._tag === "Success") {
          resolved += 1
          assert.isTrue(result.success === real || result.success.startsWith(`${real}/`), name)
        } else assert.include(["OutsideRoot", "Missing", "Unreadable"], result.failure.code, name)
      }
      assert.isAbove(resolved, 0)
      assert.deepStrictEqual(readdirSync(outer).sort(), ["root", "secret.txt"])
      figure(
        "R15",
        `${escapes.length} escapes refused, ${harmless.length} odd names harmless, ${tried} random names: ${resolved} inside, none outside`
      )
    },
    patience(60_000)
  )

  it("R15: a data set's file names can't read beside it", async () => {
    const { root } = makeFolder()
    const names = escapes.filter((name) => name !== "")
    writeFileSync(
      join(root, "metadata.jsonl"),
      names.map((file_name) => JSON.stringify({ file_name, text: "x" })).join("\n")
    )
    const read = Effect.gen(function* () {
      const source = yield* openPairs(root)
      return yield* Stream.runCollect(source.read(0))
    }).pipe(Effect.scoped)
    const result = await run(read)
    if (result._tag === "Success") {
      assert.isTrue(result.success.every(({ batch }) => batch.numRows === 0))
      const rejected = result.success.flatMap((batch) => batch.rejected)
      assert.strictEqual(rejected.length, names.length)
    } else assert.strictEqual(result.failure.code, "OutsideRoot")
  })

  it("R15: keys and file names of the store can't write beside it", async () => {
    const { outer } = makeFolder()
    const store = join(outer, "store")
    const written = (key: string, name: string) =>
      Effect.gen(function* () {
        const draft = yield* (yield* ArtifactStore).begin(key)
        yield* draft.write(name, new Uint8Array(1))
        yield* draft.commit({ type: "metrics", metrics: {}, rows_in: 0 })
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(ArtifactStore.layer(store), Files.layer)),
        Effect.exit,
        Effect.runPromise
      )
    // As a name in the store these two are names like others: no link of theirs is there.
    const names = escapes.filter((name) => name !== "out.txt" && name !== "outer")
    for (const name of [...names, "x".repeat(300)]) {
      const [asKey, asFile] = [await written(name, "a.json"), await written(sha256("key"), name)]
      assert.strictEqual(asKey._tag, "Failure", `key ${name}`)
      assert.strictEqual(asFile._tag, "Failure", `file ${name}`)
    }
    assert.deepStrictEqual(readdirSync(outer).sort(), ["root", "secret.txt", "store"])
  })
})
