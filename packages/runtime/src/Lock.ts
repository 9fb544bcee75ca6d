/**
 * Lock: one run per plan and store. The lock is a file that names its holder; that of a process which is gone is taken over.
 * Two runs of different plans need no lock: commits are idempotent.
 */
import { canonicalJson, Files } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import { Effect } from "effect"
import { hostname } from "node:os"
import { join } from "node:path"
import { storing } from "./Guard.ts"

interface Holder {
  readonly pid: number
  readonly host: string
  /** When the process started, in ticks since boot: tells a process from a later one with the same number. */
  readonly started: string
}

const where = { node: "run" }

/** Field 22 of /proc/<pid>/stat on Linux; empty elsewhere or when there is no such process. */
const startOf = Effect.fnUntraced(function* (pid: number) {
  const files = yield* Files
  const bytes = yield* files.read(`/proc/${pid}/stat`).pipe(Effect.orElseSucceed(() => new Uint8Array()))
  const text = new TextDecoder().decode(bytes)
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? ""
})

const exists = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

const isGone = Effect.fnUntraced(function* ({ pid, host, started }: Holder) {
  if (host !== hostname()) return false
  if (!exists(pid)) return true
  const now = yield* startOf(pid)
  return started !== "" && now !== "" && now !== started
})

const readHolder = Effect.fnUntraced(function* (path: string) {
  const files = yield* Files
  const bytes = yield* files.read(path).pipe(Effect.orElseSucceed(() => new Uint8Array()))
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Holder
  } catch {
    return undefined
  }
})

const taken = (path: string, { pid, host }: Holder): NodeError =>
  new NodeError({
    ...where,
    code: "R404",
    detail: `process ${pid} on ${host} is running this plan in this store`,
    hint: `wait for it, or stop it; if it is gone, remove ${path}`
  })

/** Holds the lock until the scope closes. With `wait`, tries again every second while somebody else has it. */
export const lockPlan = Effect.fnUntraced(function* (root: string, plan: string, wait: boolean) {
  const files = yield* Files
  const folder = join(root, "locks")
  const path = join(folder, `${plan}.json`)
  const me: Holder = { pid: process.pid, host: hostname(), started: yield* startOf(process.pid) }
  yield* storing(where)(files.makeFolder(folder))
  const acquire: Effect.Effect<void, NodeError, Files> = Effect.gen(function* () {
    const sink = yield* Effect.result(files.create(path))
    if (sink._tag === "Success") {
      yield* storing(where)(sink.success.write(new TextEncoder().encode(canonicalJson(me))))
      return yield* storing(where)(sink.success.close)
    }
    const holder = yield* readHolder(path)
    // Nobody's name in it: its holder is writing it now, or was killed while doing so.
    if (holder === undefined) yield* Effect.sleep("200 millis")
    const again = holder ?? (yield* readHolder(path))
    if (again !== undefined && !(yield* isGone(again))) {
      if (!wait) return yield* taken(path, again)
      yield* Effect.sleep("1 second")
      return yield* acquire
    }
    yield* takeOver(path)
    return yield* acquire
  })
  yield* Effect.acquireRelease(acquire, () => Effect.ignore(files.remove(path)))
})

/** Of several who find the same dead holder only one can move its file aside. */
const takeOver = Effect.fnUntraced(function* (path: string) {
  const files = yield* Files
  const aside = `${path}.${process.pid}`
  yield* Effect.ignore(Effect.andThen(files.rename(path, aside), files.remove(aside)))
})
