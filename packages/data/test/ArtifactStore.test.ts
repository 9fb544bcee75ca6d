import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger } from "effect"
import * as fs from "node:fs"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ArtifactStore, DataError, Files, keyOf } from "../src/index.ts"
import type { CommittedArtifact, Draft } from "../src/index.ts"
import { failAt, killAt, withFaults } from "./faults.ts"

const withFolder = <A, E>(use: (root: string) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "store-"))),
    use,
    (root) => Effect.sync(() => rmSync(root, { recursive: true }))
  )

const inStore = <A, E>(
  root: string,
  use: Effect.Effect<A, E, ArtifactStore | Files>
): Effect.Effect<A, E | DataError> =>
  use.pipe(Effect.provide(ArtifactStore.layer(root, { isAlive: () => false })), Effect.provide(Files.layer))

const key = keyOf({ task: 1 })
const other = keyOf({ task: 2 })
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const fill = Effect.fnUntraced(function* (draft: Draft) {
  yield* draft.write("b.arrow", [bytes("second "), bytes("file")], { rows: 2, schema: "s" })
  yield* draft.write("a.json", bytes("first file"))
  return yield* draft.commit({ type: "metrics" })
})

const commit = Effect.fnUntraced(function* (at: string) {
  const store = yield* ArtifactStore
  return yield* Effect.scoped(Effect.flatMap(store.begin(at), fill))
})

const contents = Effect.fnUntraced(function* (artifact: CommittedArtifact) {
  const read = yield* Effect.forEach(artifact.files, ({ name }) => artifact.read(name))
  return read.map((file) => new TextDecoder().decode(file))
})

const expectWhole = Effect.fnUntraced(function* (artifact: CommittedArtifact | undefined) {
  assert.isDefined(artifact)
  assert.deepStrictEqual(yield* contents(artifact), ["first file", "second file"])
})

const openKey = (at: string) => Effect.flatMap(ArtifactStore, (store) => store.open(at))

describe("ArtifactStore", () => {
  it.effect("gives back what was committed, and the same digest for the same content under another key", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        const first = yield* inStore(root, commit(key))
        const second = yield* inStore(root, commit(other))
        const read = yield* inStore(root, openKey(key))
        yield* expectWhole(read)
        assert.strictEqual(read?.digest, first.digest)
        assert.strictEqual(first.digest, second.digest)
        assert.deepStrictEqual(read?.meta, { type: "metrics" })
        assert.include(read?.files[1], { name: "b.arrow", rows: 2, schema: "s", bytes: 11 })
        assert.isUndefined(yield* inStore(root, openKey(keyOf({ task: 3 }))))
        const store = yield* inStore(root, ArtifactStore)
        assert.deepStrictEqual(yield* store.list, [key, other].sort())
        assert.deepStrictEqual(yield* store.gc(new Set([key])), [other])
        assert.deepStrictEqual(yield* store.list, [key])
        assert.isAbove(yield* store.diskFree, 0)
      })
    )
  )

  it.effect("leaves nothing of a draft that is not committed", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        const write = Effect.flatMap(ArtifactStore, (store) =>
          Effect.scoped(Effect.flatMap(store.begin(key), (draft) => draft.write("a", bytes("x"))))
        )
        yield* inStore(root, write)
        assert.isUndefined(yield* inStore(root, openKey(key)))
        assert.deepStrictEqual(readdirSync(join(root, "tmp")), [])
      })
    )
  )

  it.effect("keeps the first artifact of a key when two commit at once", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        const artifacts = yield* inStore(
          root,
          Effect.all(
            Array.from({ length: 8 }, () => commit(key)),
            { concurrency: 8 }
          )
        )
        assert.strictEqual(new Set(artifacts.map(({ digest }) => digest)).size, 1)
        yield* expectWhole(artifacts[7])
        assert.deepStrictEqual(readdirSync(join(root, "tmp")), [])
      })
    )
  )

  it.effect("refuses keys and names that are no plain names", () =>
    withFolder((root) =>
      inStore(
        root,
        Effect.gen(function* () {
          const store = yield* ArtifactStore
          for (const bad of ["../x", "", key.toUpperCase(), `${key}/..`]) {
            assert.strictEqual((yield* Effect.flip(store.open(bad))).code, "BadArtifact")
          }
          const draft = yield* store.begin(key)
          for (const bad of ["../x", "", "/x", "a/b", ".x", "a\0", "manifest.jsonl", "x".repeat(201)]) {
            assert.strictEqual((yield* Effect.flip(draft.write(bad, bytes("x")))).code, "BadArtifact")
          }
          const error = yield* Effect.flip((yield* draft.commit({})).read("../../x"))
          assert.strictEqual(error.code, "BadArtifact")
        }).pipe(Effect.scoped)
      )
    )
  )
})

describe("a process killed at any step", () => {
  it.effect("leaves the whole artifact or none, and the next start sweeps", () =>
    Effect.gen(function* () {
      let finished = false
      for (let n = 1; !finished; n++) {
        yield* withFolder((root) =>
          Effect.gen(function* () {
            const files = yield* Files
            const exit = yield* commit(key).pipe(
              Effect.provide(ArtifactStore.layer(root)),
              Effect.provideService(Files, withFaults(files, killAt(n))),
              Effect.exit
            )
            finished = Exit.isSuccess(exit)
            const artifact = yield* inStore(root, openKey(key))
            if (finished || artifact !== undefined) yield* expectWhole(artifact)
            assert.deepStrictEqual(readdirSync(join(root, "tmp")), [])
            yield* expectWhole(yield* inStore(root, commit(key)))
          }).pipe(Effect.provide(Files.layer))
        )
        assert.isBelow(n, 100)
      }
    })
  )

  it.effect("reports the nth failing step, and works once the disk does again", () =>
    Effect.gen(function* () {
      let finished = false
      for (let n = 1; !finished; n++) {
        yield* withFolder((root) =>
          Effect.gen(function* () {
            const files = yield* Files
            const fault = new DataError({ code: "DiskFull", file: "disk", detail: "ENOSPC" })
            const once = withFaults(files, failAt(n, fault))
            const exit = yield* commit(key).pipe(
              Effect.provide(ArtifactStore.layer(root)),
              Effect.provideService(Files, once),
              Effect.result
            )
            finished = exit._tag === "Success"
            if (exit._tag === "Failure") assert.strictEqual(exit.failure, fault)
            yield* expectWhole(yield* inStore(root, commit(key)))
            assert.deepStrictEqual(readdirSync(join(root, "tmp")), [])
          }).pipe(Effect.provide(Files.layer))
        )
        assert.isBelow(n, 100)
      }
    })
  )
})

const damages: Record<string, (folder: string) => void> = {
  "a bit of a file": (folder) => {
    const data = readFileSync(join(folder, "a.json"))
    data[3]! ^= 4
    writeFileSync(join(folder, "a.json"), data)
  },
  "the end of a file": (folder) => fs.truncateSync(join(folder, "b.arrow"), 3),
  "the whole file": (folder) => rmSync(join(folder, "b.arrow")),
  "the order of two files": (folder) => {
    fs.renameSync(join(folder, "a.json"), join(folder, "x"))
    fs.renameSync(join(folder, "b.arrow"), join(folder, "a.json"))
    fs.renameSync(join(folder, "x"), join(folder, "b.arrow"))
  },
  "all bytes, zeroed": (folder) => writeFileSync(join(folder, "a.json"), new Uint8Array(10)),
  "the end, longer": (folder) => fs.appendFileSync(join(folder, "a.json"), "!"),
  "the manifest, empty": (folder) => writeFileSync(join(folder, "manifest.jsonl"), ""),
  "the manifest, gone": (folder) => rmSync(join(folder, "manifest.jsonl")),
  "the manifest, longer": (folder) => fs.appendFileSync(join(folder, "manifest.jsonl"), "{}\n"),
  "the manifest, one line less": (folder) => {
    const lines = readFileSync(join(folder, "manifest.jsonl"), "utf8").split("\n")
    writeFileSync(join(folder, "manifest.jsonl"), lines.toSpliced(1, 1).join("\n"))
  },
  "the place: another key's artifact": (folder) => {
    const text = readFileSync(join(folder, "manifest.jsonl"), "utf8")
    writeFileSync(join(folder, "manifest.jsonl"), text.replace(key, other))
  }
}

describe("a damaged artifact", () => {
  it.effect.each(Object.keys(damages))("is seen, removed with one warning, and made again: %s", (name) =>
    withFolder((root) =>
      Effect.gen(function* () {
        yield* inStore(root, commit(key))
        damages[name]!(join(root, "artifacts", key))
        const warnings: Array<unknown> = []
        const logger = Logger.make(({ message }) => void warnings.push(message))
        const opened = yield* inStore(root, openKey(key)).pipe(Effect.provide(Logger.layer([logger])))
        assert.isUndefined(opened)
        assert.strictEqual(warnings.length, 1)
        assert.include(String(warnings[0]), key)
        assert.deepStrictEqual(readdirSync(join(root, "artifacts")), [])
        yield* expectWhole(yield* inStore(root, commit(key)))
      })
    )
  )

  it.effect("is seen whichever bit flips", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        const folder = join(root, "artifacts", key)
        yield* inStore(root, commit(key))
        const names = readdirSync(folder)
        const whole = names.map((name) => readFileSync(join(folder, name)))
        for (let i = 0; i < 100; i++) {
          const file = i % names.length
          const damaged = Buffer.from(whole[file]!)
          damaged[(i * 7919) % damaged.length]! ^= 1 << (i % 8)
          fs.mkdirSync(folder, { recursive: true })
          names.forEach((name, at) => writeFileSync(join(folder, name), at === file ? damaged : whole[at]!))
          assert.isUndefined(yield* inStore(root, openKey(key)), `${names[file]} ${i}`)
        }
      }).pipe(Effect.provide(Logger.layer([])))
    )
  )
})
