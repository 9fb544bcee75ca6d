/** Leftovers: drafts of artifacts whose process died before it committed them. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { hostname } from "node:os"
import { join } from "node:path"
import { sha256 } from "./Canonical.ts"
import { Files } from "./Files.ts"

export interface SweepOptions {
  /** Whether a process of this machine lives: its leftovers stay. */
  readonly isAlive?: (pid: number) => boolean
}

const processIsAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** Names in tmp are `<host>-<pid>-<random>`: a start sweeps what dead processes of this machine left behind. */
export const hostId = sha256(hostname()).slice(0, 8)
const week_ms = 7 * 24 * 3600 * 1000

const isStale = (name: string, modified: number, now: number, isAlive: (pid: number) => boolean): boolean => {
  const [host, pid] = name.split("-")
  if (host === hostId) return !isAlive(Number(pid))
  return now - modified > week_ms
}

/** Removes what dead processes of this machine left in tmp, and what others left a week ago. */
export const sweep = Effect.fnUntraced(function* (tmp: string, { isAlive = processIsAlive }: SweepOptions) {
  const files = yield* Files
  const now = yield* Clock.currentTimeMillis
  for (const name of yield* files.list(tmp)) {
    const stat = yield* files.stat(join(tmp, name))
    if (stat !== undefined && isStale(name, stat.modified, now, isAlive)) yield* files.remove(join(tmp, name))
  }
})
