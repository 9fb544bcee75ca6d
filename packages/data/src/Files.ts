/**
 * The file system as this package uses it: a dozen verbs, one service, so that a test can fail or stop at any of them.
 *
 * Writes are whole files: create, write all, fsync, close. Nothing here retries: after a failed fsync the pages may be gone
 * although a second fsync succeeds, so the error ends the run.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import * as fs from "node:fs/promises"
import { DataError } from "./DataError.ts"
import type { DataErrorCode } from "./DataError.ts"

export interface FileStat {
  readonly kind: "file" | "folder" | "other"
  /** Bytes. */
  readonly size: number
  /** Milliseconds since 1970; for sweeping leftovers only, it is in no artifact and no key. */
  readonly modified: number
}

/** A file open for positioned reads; closed with its scope. */
export interface OpenFile {
  readonly path: string
  readonly size: number
  /** Exactly `length` bytes from `offset`; fails when the file is shorter. They may be put into `spare`, where there is one as long. */
  readonly read: (
    offset: number,
    length: number,
    spare?: Uint8Array<ArrayBuffer>
  ) => Effect.Effect<Uint8Array<ArrayBuffer>, DataError>
}

/** A file being written. End it with `close`, which flushes it to the disk, or with `abandon`, which doesn't. */
export interface FileSink {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, DataError>
  readonly close: Effect.Effect<void, DataError>
  readonly abandon: Effect.Effect<void>
}

export interface FilesShape {
  readonly read: (path: string) => Effect.Effect<Uint8Array<ArrayBuffer>, DataError>
  readonly open: (path: string) => Effect.Effect<OpenFile & { readonly close: Effect.Effect<void> }, DataError>
  /** Creates the file (it must not exist) and opens it for writing. */
  readonly create: (path: string) => Effect.Effect<FileSink, DataError>
  readonly rename: (from: string, to: string) => Effect.Effect<void, DataError>
  /** Flushes a folder's entries to the disk. */
  readonly fsyncFolder: (path: string) => Effect.Effect<void, DataError>
  readonly makeFolder: (path: string) => Effect.Effect<void, DataError>
  /** Entry names, sorted by code unit so that no locale or file system order is seen. */
  readonly list: (path: string) => Effect.Effect<ReadonlyArray<string>, DataError>
  /** Undefined when nothing is there; links are followed. */
  readonly stat: (path: string) => Effect.Effect<FileStat | undefined, DataError>
  readonly realPath: (path: string) => Effect.Effect<string, DataError>
  /** Removes a file or a whole folder; nothing there is no error. */
  readonly remove: (path: string) => Effect.Effect<void, DataError>
  /** Free bytes of the disk that holds the path. */
  readonly freeBytes: (path: string) => Effect.Effect<number, DataError>
}

const errorCode = (cause: unknown): string => (cause as NodeJS.ErrnoException).code ?? ""

const fault = (code: DataErrorCode, file: string, cause: unknown): DataError => {
  const system = errorCode(cause)
  // Node's message ends with the system call and the whole path, which `file` holds already.
  const detail = (cause instanceof Error ? cause.message : String(cause)).split(", ")[0]!
  if (system === "ENOENT" || system === "ENOTDIR") return new DataError({ code: "Missing", file, detail })
  if (system === "ENOSPC") return new DataError({ code: "DiskFull", file, detail })
  return new DataError({ code, file, detail })
}

const io = <A>(code: DataErrorCode, path: string, evaluate: () => Promise<A>): Effect.Effect<A, DataError> =>
  Effect.tryPromise({ try: evaluate, catch: (cause) => fault(code, path, cause) })

const readExactly = async (
  handle: fs.FileHandle,
  path: string,
  offset: number,
  length: number,
  spare?: Uint8Array<ArrayBuffer>
) => {
  const bytes = spare?.subarray(0, length) ?? new Uint8Array(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done)
    if (bytesRead === 0) throw new Error(`${path} ends at byte ${offset + done}, wanted ${offset + length}`)
    done += bytesRead
  }
  return bytes
}

const open: FilesShape["open"] = (path) =>
  io("Unreadable", path, async () => {
    const handle = await fs.open(path, "r")
    const { size } = await handle.stat()
    return {
      path,
      size,
      read: (offset, length, spare) => io("Unreadable", path, () => readExactly(handle, path, offset, length, spare)),
      close: Effect.promise(() => handle.close())
    }
  })

const create: FilesShape["create"] = (path) =>
  io("Unwritable", path, async () => {
    const handle = await fs.open(path, "wx")
    return {
      write: (bytes) => io("Unwritable", path, () => handle.writeFile(bytes)),
      close: io("NotDurable", path, async () => {
        try {
          await handle.sync()
        } finally {
          await handle.close()
        }
      }),
      abandon: Effect.promise(() => handle.close())
    }
  })

const stat: FilesShape["stat"] = (path) =>
  io("Unreadable", path, async (): Promise<FileStat | undefined> => {
    try {
      const s = await fs.stat(path)
      return { kind: s.isFile() ? "file" : s.isDirectory() ? "folder" : "other", size: s.size, modified: s.mtimeMs }
    } catch (cause) {
      if (errorCode(cause) === "ENOENT" || errorCode(cause) === "ENOTDIR") return undefined
      throw cause
    }
  })

const fsyncFolder: FilesShape["fsyncFolder"] = (path) =>
  io("NotDurable", path, async () => {
    // Windows gives no handle on a folder; its rename is journalled by the file system.
    if (process.platform === "win32") return
    const handle = await fs.open(path, "r")
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  })

const nodeFiles: FilesShape = {
  read: (path) =>
    io("Unreadable", path, async () => {
      const { buffer, byteOffset, byteLength } = await fs.readFile(path)
      return new Uint8Array(buffer, byteOffset, byteLength)
    }),
  open,
  create,
  rename: (from, to) => io("Unwritable", to, () => fs.rename(from, to)),
  fsyncFolder,
  makeFolder: (path) => io("Unwritable", path, () => fs.mkdir(path, { recursive: true })),
  list: (path) => io("Unreadable", path, async () => (await fs.readdir(path)).sort()),
  stat,
  realPath: (path) => io("Unreadable", path, () => fs.realpath(path)),
  remove: (path) => io("Unwritable", path, () => fs.rm(path, { recursive: true, force: true })),
  freeBytes: (path) =>
    io("Unreadable", path, async () => {
      const s = await fs.statfs(path)
      return s.bavail * s.bsize
    })
}

export class Files extends Context.Service<Files, FilesShape>()("@bootlace/data/Files") {
  /** node:fs/promises. */
  static readonly layer: Layer.Layer<Files> = Layer.succeed(Files, nodeFiles)
}

/** Opens a file for positioned reads until the scope closes. */
export const openScoped = Effect.fnUntraced(function* (path: string) {
  const files = yield* Files
  return yield* Effect.acquireRelease(files.open(path), (file) => file.close)
})

/** Creates a file, writes its parts and flushes it to the disk. */
export const writeFile = Effect.fnUntraced(function* (path: string, parts: ReadonlyArray<Uint8Array>) {
  const files = yield* Files
  const sink = yield* files.create(path)
  yield* Effect.forEach(parts, sink.write, { discard: true }).pipe(
    Effect.andThen(sink.close),
    Effect.onError(() => sink.abandon)
  )
})

/** sha256 of a file, read in parts; lower-case hex. New memory for each part would take as long as hashing it. */
export const hashFile = Effect.fnUntraced(function* (path: string) {
  const file = yield* openScoped(path)
  const hash = createHash("sha256")
  const spare = new Uint8Array(Math.min(4 * 1024 * 1024, file.size))
  for (let at = 0; at < file.size; at += spare.length)
    hash.update(yield* file.read(at, Math.min(spare.length, file.size - at), spare))
  return hash.digest("hex")
}, Effect.scoped)
