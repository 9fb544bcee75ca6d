/**
 * The artifact store: what tasks made, under the key of the task.
 *
 *   <root>/artifacts/<key>/   the files of one artifact and its manifest.jsonl
 *   <root>/tmp/               artifacts in the making, and those on their way out
 *
 * Commit rule: write every file in tmp and flush it, write and flush the manifest, flush the folder, rename it to its key,
 * flush the parent. A process killed at any point leaves either the whole artifact or none. The first artifact of a key stays:
 * another process that commits the same key gets the first one back.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Scope } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { dirname, join, resolve } from "node:path"
import { attempt, DataError } from "./DataError.ts"
import { Files, hashFile, writeFile } from "./Files.ts"
import type { FilesShape } from "./Files.ts"
import { hostId, sweep } from "./Leftovers.ts"
import type { SweepOptions } from "./Leftovers.ts"
import { makeManifest, manifestName, parseManifest } from "./Manifest.ts"
import type { Manifest, ManifestFile, Meta } from "./Manifest.ts"

/** How often something is tried that other processes in the same store can spoil. */
const attempts = 5

const isTaken = ({ detail }: DataError): boolean => /^(?:ENOTEMPTY|EEXIST)/.test(detail)

/** A committed artifact; read-only. */
export interface CommittedArtifact extends Manifest {
  /** The path of one of its files, for readers that open it themselves. Fails with BadArtifact for another name. */
  readonly path: (name: string) => Effect.Effect<string, DataError>
  readonly read: (name: string) => Effect.Effect<Uint8Array<ArrayBuffer>, DataError>
}

/** An artifact in the making. Unless it is committed, it is gone when its scope closes. */
export interface Draft {
  /** Writes one file in one or several parts and flushes it. Names are flat: letters, digits, `.`, `_` and `-`. */
  readonly write: (
    name: string,
    bytes: Uint8Array | ReadonlyArray<Uint8Array>,
    shard?: { readonly rows: number; readonly schema: string }
  ) => Effect.Effect<void, DataError>
  /** Makes the artifact visible under its key. */
  readonly commit: (meta: Meta) => Effect.Effect<CommittedArtifact, DataError>
}

export interface ArtifactStoreShape {
  readonly root: string
  readonly begin: (key: string) => Effect.Effect<Draft, DataError, Scope.Scope>
  /**
   * The artifact of a key, or undefined. The first time that a process opens it, every file is compared with its sha256;
   * a damaged artifact is removed with one warning and counts as absent.
   */
  readonly open: (key: string) => Effect.Effect<CommittedArtifact | undefined, DataError>
  /** The same without reading the files: for plans and listings. */
  readonly peek: (key: string) => Effect.Effect<CommittedArtifact | undefined, DataError>
  /** Keys, in order. */
  readonly list: Effect.Effect<ReadonlyArray<string>, DataError>
  readonly remove: (key: string) => Effect.Effect<void, DataError>
  /** Removes every artifact whose key is not in `keep`; returns the keys removed. */
  readonly gc: (keep: ReadonlySet<string>) => Effect.Effect<ReadonlyArray<string>, DataError>
  /** Free bytes of the store's disk. */
  readonly diskFree: Effect.Effect<number, DataError>
}

const checkKey = (key: string): Effect.Effect<void, DataError> =>
  /^[0-9a-f]{64}$/.test(key)
    ? Effect.void
    : Effect.fail(
        new DataError({ code: "BadArtifact", file: key, detail: "not a key", expected: "64 digits of lower-case hex" })
      )

const checkName = (name: string): Effect.Effect<void, DataError> =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(name) && name !== manifestName
    ? Effect.void
    : Effect.fail(
        new DataError({
          code: "BadArtifact",
          file: name,
          detail: "not a file name for an artifact",
          expected: `up to 200 letters, digits, ".", "_" and "-", starting with a letter or digit, not ${manifestName}`
        })
      )

/** Creates a folder, with those above it, and makes its name durable. */
const ensureFolder = (files: FilesShape, path: string): Effect.Effect<void, DataError> =>
  Effect.gen(function* () {
    if ((yield* files.stat(path)) !== undefined) return
    yield* ensureFolder(files, dirname(path))
    yield* files.makeFolder(path)
    yield* files.fsyncFolder(dirname(path))
  })

const corrupted = (file: string, detail: string): DataError => new DataError({ code: "Corrupted", file, detail })

const make = Effect.fnUntraced(function* (folder: string, options: SweepOptions) {
  const root = resolve(folder)
  const files = yield* Files
  const provided = <A, E>(effect: Effect.Effect<A, E, Files>): Effect.Effect<A, E> =>
    Effect.provideService(effect, Files, files)
  const artifacts = join(root, "artifacts")
  const tmp = join(root, "tmp")
  yield* ensureFolder(files, artifacts)
  yield* ensureFolder(files, tmp)
  yield* sweep(tmp, options)

  const folderOf = (key: string): string => join(artifacts, key)
  // A seeded Random must not give two drafts one name, so this is the one place that asks the system for chance.
  const tmpFolder = Effect.sync(() => join(tmp, `${hostId}-${process.pid}-${randomUUID()}`))

  const stored = (manifest: Manifest): CommittedArtifact => {
    const path = (name: string): Effect.Effect<string, DataError> =>
      manifest.files.some((file) => file.name === name)
        ? Effect.succeed(join(folderOf(manifest.key), name))
        : Effect.fail(
            new DataError({
              code: "BadArtifact",
              file: name,
              detail: `artifact ${manifest.key.slice(0, 12)} has no such file`,
              got: manifest.files.map((file) => file.name).join(", ") || "no files"
            })
          )
    return { ...manifest, path, read: (name) => Effect.flatMap(path(name), files.read) }
  }

  /** Reads the manifest and compares the sizes; undefined when there is no artifact. */
  const load = Effect.fnUntraced(function* (key: string) {
    yield* checkKey(key)
    const folder = folderOf(key)
    if ((yield* files.stat(folder)) === undefined) return undefined
    const path = join(folder, manifestName)
    if ((yield* files.stat(path)) === undefined) return yield* corrupted(folder, "the manifest is missing")
    const bytes = yield* files.read(path)
    const manifest = yield* attempt({ code: "Corrupted", file: path }, () => parseManifest(key, bytes, path))
    for (const file of manifest.files) {
      const stat = yield* files.stat(join(folder, file.name))
      if (stat?.size !== file.bytes) {
        const detail = `${file.name} has ${stat?.size ?? "no"} bytes, the manifest says ${file.bytes}`
        return yield* corrupted(folder, detail)
      }
    }
    return manifest
  })

  const verify = Effect.fnUntraced(function* (manifest: Manifest) {
    for (const file of manifest.files) {
      const path = join(folderOf(manifest.key), file.name)
      if ((yield* provided(hashFile(path))) !== file.sha256) {
        return yield* corrupted(path, "its bytes are not those that were written")
      }
    }
  })

  /** Moves an artifact out of sight in one step, then deletes it. */
  const remove: ArtifactStoreShape["remove"] = Effect.fnUntraced(function* (key) {
    yield* checkKey(key)
    if ((yield* files.stat(folderOf(key))) === undefined) return
    const gone = yield* tmpFolder
    const renamed = yield* Effect.result(files.rename(folderOf(key), gone))
    // Another process may have removed it meanwhile.
    if (renamed._tag === "Failure") return renamed.failure.code === "Missing" ? undefined : yield* renamed.failure
    yield* files.fsyncFolder(artifacts)
    yield* files.remove(gone)
  })

  /** Other processes remove and replace artifacts meanwhile: only what is there and stays damaged, look after look, is. */
  const dropCorrupted = Effect.fnUntraced(function* <A>(key: string, effect: Effect.Effect<A, DataError>) {
    let seen = yield* Effect.result(effect)
    for (let look = 1; look < attempts && seen._tag === "Failure" && seen.failure.code === "Corrupted"; look++) {
      if ((yield* files.stat(folderOf(key))) === undefined) return undefined
      seen = yield* Effect.result(effect)
    }
    if (seen._tag === "Success") return seen.success
    const { failure } = seen
    if (failure.code === "Missing") return undefined
    if (failure.code !== "Corrupted") return yield* failure
    yield* Effect.logWarning(`artifact ${key} is damaged and will be made again: ${failure.message}`)
    yield* remove(key)
    return undefined
  })

  const verified = new Set<string>()

  const open: ArtifactStoreShape["open"] = (key) =>
    dropCorrupted(
      key,
      Effect.gen(function* () {
        const manifest = yield* load(key)
        if (manifest === undefined) return undefined
        if (!verified.has(key)) yield* verify(manifest)
        verified.add(key)
        return stored(manifest)
      })
    )

  const begin: ArtifactStoreShape["begin"] = Effect.fnUntraced(function* (key) {
    yield* checkKey(key)
    const folder = yield* tmpFolder
    yield* files.makeFolder(folder)
    yield* Effect.addFinalizer(() => Effect.ignore(files.remove(folder)))
    return draft(key, folder)
  })

  const draft = (key: string, folder: string): Draft => {
    const written = new Map<string, ManifestFile>()
    const write: Draft["write"] = Effect.fnUntraced(function* (name, bytes, shard) {
      yield* checkName(name)
      const parts = bytes instanceof Uint8Array ? [bytes] : bytes
      const hash = createHash("sha256")
      for (const part of parts) hash.update(part)
      yield* provided(writeFile(join(folder, name), parts))
      const size = parts.reduce((total, part) => total + part.length, 0)
      written.set(name, { name, bytes: size, sha256: hash.digest("hex"), ...shard })
    })
    const commit: Draft["commit"] = Effect.fnUntraced(function* (meta) {
      const { manifest, text } = yield* attempt({ code: "BadArtifact", file: key }, () =>
        makeManifest(key, meta, [...written.values()])
      )
      yield* provided(writeFile(join(folder, manifestName), [new TextEncoder().encode(text)]))
      yield* files.fsyncFolder(folder)
      const first = yield* place(key, folder)
      return first ?? stored(manifest)
    })
    return { write, commit }
  }

  /** Renames a finished draft to its key; returns the artifact that was there already, if one was. */
  const place = Effect.fnUntraced(function* (key: string, folder: string) {
    const there = yield* open(key)
    if (there !== undefined) return there
    for (let attempt = 1; ; attempt++) {
      const renamed = yield* Effect.result(files.rename(folder, folderOf(key)))
      if (renamed._tag === "Success") break
      const winner = yield* open(key)
      if (winner !== undefined) return winner
      // Whose place it was has removed it again since, as checkpoints are.
      if (!isTaken(renamed.failure) || attempt === attempts) return yield* renamed.failure
    }
    yield* files.fsyncFolder(artifacts)
    verified.add(key)
    return undefined
  })

  const list: ArtifactStoreShape["list"] = Effect.map(files.list(artifacts), (names) =>
    names.filter((name) => /^[0-9a-f]{64}$/.test(name))
  )

  const gc: ArtifactStoreShape["gc"] = Effect.fnUntraced(function* (keep) {
    const gone = (yield* list).filter((key) => !keep.has(key))
    yield* Effect.forEach(gone, remove, { discard: true })
    return gone
  })

  const peek: ArtifactStoreShape["peek"] = (key) =>
    dropCorrupted(
      key,
      Effect.map(load(key), (manifest) => (manifest === undefined ? undefined : stored(manifest)))
    )

  return ArtifactStore.of({ root, begin, open, peek, list, remove, gc, diskFree: files.freeBytes(root) })
})

export class ArtifactStore extends Context.Service<ArtifactStore, ArtifactStoreShape>()(
  "@bootlace/data/ArtifactStore"
) {
  /** A store at a folder, which is created; sweeps leftovers of dead processes. */
  static readonly layer = (root: string, options: SweepOptions = {}): Layer.Layer<ArtifactStore, DataError, Files> =>
    Layer.effect(ArtifactStore, make(root, options))
}
