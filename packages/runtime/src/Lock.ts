/**
 * Lock: one run per plan and store. The lock is a file that names its holder; that of a process which is gone is taken over.
 * Two runs of different plans need no lock: commits are idempotent.
 */
import { canonicalJson, Files } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import * as Effect from "effect/Effect"
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

/** Locks of this very process: one in its name that isn't here was left by a dead process of the same number. */
const held = new Set<string>()

/** State and start (fields 3 and 22) from /proc/<pid>/stat on Linux; undefined elsewhere or when there is no such process. */
const statusOf = Effect.fnUntraced(function* (pid: number) {
  const text = yield* textOf(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  return fields.length < 20 ? undefined : { state: fields[0]!, started: fields[19]! }
})

const exists = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

const isGone = Effect.fnUntraced(function* (path: string, { pid, host, started }: Holder) {
  if (host !== hostname()) return false
  if (pid === process.pid) return !held.has(path)
  if (!exists(pid)) return true
  const now = yield* statusOf(pid)
  // A dead process whose parent hasn't noticed it still has its number.
  return now !== undefined && (now.state === "Z" || now.state === "X" || (started !== "" && now.started !== started))
})

const textOf = Effect.fnUntraced(function* (path: string) {
  const files = yield* Files
  const bytes = yield* files.read(path).pipe(Effect.orElseSucceed(() => new Uint8Array()))
  return new TextDecoder().decode(bytes)
})

/** The file's text, waiting a little for a holder who has created it and is writing his name. */
const claimIn = Effect.fnUntraced(function* (path: string) {
  for (let tries = 0; tries < 10; tries++) {
    const text = yield* textOf(path)
    if (text !== "") return text
    yield* Effect.sleep("100 millis")
  }
  return ""
})

const parse = (text: string): Holder | undefined => {
  try {
    return JSON.parse(text) as Holder
  } catch {
    return undefined
  }
}

/** Moves a dead holder's file aside. Somebody who came first may have put his own in its place: that goes back. */
const takeOver = Effect.fnUntraced(function* (path: string, dead: string) {
  const files = yield* Files
  const aside = `${path}.${process.pid}`
  const moved = yield* Effect.result(files.rename(path, aside))
  if (moved._tag === "Failure") return
  if ((yield* textOf(aside)) === dead) yield* storing(where)(files.remove(aside))
  else yield* storing(where)(files.rename(aside, path))
})

/** Creates the lock file; false where there is one already. */
const create = Effect.fnUntraced(function* (path: string, me: Holder) {
  const files = yield* Files
  const sink = yield* Effect.result(files.create(path))
  if (sink._tag === "Failure") {
    if ((yield* storing(where)(files.stat(path))) !== undefined) return false
    return yield* storing(where)(Effect.fail(sink.failure))
  }
  held.add(path)
  yield* storing(where)(Effect.andThen(sink.success.write(encode(me)), sink.success.close)).pipe(
    Effect.onError(() => release(path))
  )
  return true
})

const encode = (holder: Holder): Uint8Array => new TextEncoder().encode(canonicalJson(holder))

const release = Effect.fnUntraced(function* (path: string) {
  const files = yield* Files
  held.delete(path)
  yield* Effect.ignore(files.remove(path))
})

const taken = (path: string, { pid, host }: Holder): NodeError =>
  new NodeError({
    ...where,
    code: "R424",
    detail: `process ${pid} on ${host} is running this plan in this store`,
    hint: `wait for it, or stop it; if it is gone, remove ${path}`
  })

/** Holds the lock until the scope closes. With `wait`, tries again every second while somebody else has it. */
export const lockPlan = Effect.fnUntraced(function* (root: string, plan: string, wait: boolean) {
  const files = yield* Files
  const folder = join(root, "locks")
  const path = join(folder, `${plan}.json`)
  const me: Holder = { pid: process.pid, host: hostname(), started: (yield* statusOf(process.pid))?.started ?? "" }
  yield* storing(where)(files.makeFolder(folder))
  for (;;) {
    const isMine = yield* Effect.acquireRelease(create(path, me), (mine) => (mine ? release(path) : Effect.void))
    if (isMine) return
    const claim = yield* claimIn(path)
    const holder = parse(claim)
    if (holder === undefined || (yield* isGone(path, holder))) yield* takeOver(path, claim)
    else if (wait) yield* Effect.sleep("1 second")
    else return yield* taken(path, holder)
  }
})
