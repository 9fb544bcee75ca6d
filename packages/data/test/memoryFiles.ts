/**
 * Files in memory that forget what was not flushed: a disk with a power switch.
 *
 * A file's bytes are safe once it was closed, a folder's entries once the folder was flushed; each change since then may be
 * there after `cut` or not, whatever their order. Bytes that were not flushed come back whole, cut, or as zeros.
 */
import { Effect } from "effect"
import { basename, dirname } from "node:path"
import { DataError } from "../src/index.ts"
import type { FilesShape } from "../src/index.ts"

interface FileNode {
  readonly kind: "file"
  bytes: Uint8Array<ArrayBuffer>
  safe: boolean
}
interface FolderNode {
  readonly kind: "folder"
  readonly entries: Map<string, Node>
  safe: Map<string, Node>
}
type Node = FileNode | FolderNode

const folder = (): FolderNode => ({ kind: "folder", entries: new Map(), safe: new Map() })

export interface MemoryDisk {
  readonly files: FilesShape
  /** The power goes and comes back; `chance` gives numbers from 0 up to 1. */
  readonly cut: (chance: () => number) => void
}

const survive = (node: Node, chance: () => number): Node => {
  if (node.kind === "file") {
    if (node.safe) return node
    const luck = chance()
    const kept = luck < 0.4 ? node.bytes : node.bytes.slice(0, Math.floor(chance() * node.bytes.length))
    return { kind: "file", bytes: luck < 0.8 ? kept : new Uint8Array(node.bytes.length), safe: true }
  }
  const after = folder()
  for (const name of new Set([...node.entries.keys(), ...node.safe.keys()])) {
    const [now, before] = [node.entries.get(name), node.safe.get(name)]
    const kept = now === before || chance() < 0.5 ? now : before
    if (kept !== undefined) after.entries.set(name, survive(kept, chance))
  }
  after.safe = new Map(after.entries)
  return after
}

const missing = (path: string): DataError => new DataError({ code: "Missing", file: path, detail: "ENOENT" })

export const makeMemoryDisk = (): MemoryDisk => {
  let root = folder()
  const find = (path: string): Node | undefined =>
    path
      .split("/")
      .filter((part) => part !== "")
      .reduce<Node | undefined>((node, part) => (node?.kind === "folder" ? node.entries.get(part) : undefined), root)
  const need = <K extends Node["kind"]>(path: string, kind: K): Extract<Node, { kind: K }> => {
    const node = find(path)
    if (node?.kind !== kind) throw missing(path)
    return node as Extract<Node, { kind: K }>
  }
  const parent = (path: string): Map<string, Node> => need(dirname(path), "folder").entries
  const run = <A>(path: string, evaluate: () => A): Effect.Effect<A, DataError> =>
    Effect.try({ try: evaluate, catch: (cause) => (cause instanceof DataError ? cause : missing(path)) })
  const makeFolder = (path: string): void => {
    if (find(path) !== undefined) return
    makeFolder(dirname(path))
    parent(path).set(basename(path), folder())
  }
  const files: FilesShape = {
    read: (path) => run(path, () => need(path, "file").bytes.slice()),
    open: (path) =>
      run(path, () => {
        const { bytes } = need(path, "file")
        const read = (offset: number, length: number) =>
          run(path, () => {
            if (offset + length <= bytes.length) return bytes.slice(offset, offset + length)
            throw new DataError({ code: "Unreadable", file: path, detail: `it ends at byte ${bytes.length}` })
          })
        return { path, size: bytes.length, read, close: Effect.void }
      }),
    create: (path) =>
      run(path, () => {
        const node: FileNode = { kind: "file", bytes: new Uint8Array(), safe: false }
        if (find(path) !== undefined) throw new DataError({ code: "Unwritable", file: path, detail: "EEXIST" })
        parent(path).set(basename(path), node)
        const write = (bytes: Uint8Array) =>
          Effect.sync(() => void (node.bytes = new Uint8Array(Buffer.concat([node.bytes, bytes]))))
        return { write, close: Effect.sync(() => void (node.safe = true)), abandon: Effect.void }
      }),
    rename: (from, to) =>
      run(to, () => {
        const node = find(from)
        if (node === undefined) throw missing(from)
        // A file takes another's place in one step; a folder takes only an empty one's.
        const there = find(to)
        const isReplaced = there?.kind === "file" && node.kind === "file"
        if (there !== undefined && !isReplaced)
          throw new DataError({ code: "Unwritable", file: to, detail: "ENOTEMPTY" })
        parent(to).set(basename(to), node)
        parent(from).delete(basename(from))
      }),
    fsyncFolder: (path) =>
      run(path, () => {
        const node = need(path, "folder")
        node.safe = new Map(node.entries)
      }),
    makeFolder: (path) => run(path, () => makeFolder(path)),
    list: (path) => run(path, () => [...need(path, "folder").entries.keys()].sort()),
    stat: (path) =>
      run(path, () => {
        const node = find(path)
        return node && { kind: node.kind, size: node.kind === "file" ? node.bytes.length : 0, modified: 0 }
      }),
    realPath: Effect.succeed,
    remove: (path) =>
      run(path, () => {
        if (find(path) !== undefined) parent(path).delete(basename(path))
      }),
    freeBytes: () => Effect.succeed(1e12)
  }
  return {
    files,
    cut: (chance) => {
      root = survive(root, chance) as FolderNode
    }
  }
}
