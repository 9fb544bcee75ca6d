/** Disk space: a run that can't end for lack of it ends early, with what is committed so far kept. */
import type { CommittedArtifact } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { storing } from "./Guard.ts"
import type { Session } from "./Session.ts"

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`

export const bytesOf = ({ files }: CommittedArtifact): number => files.reduce((sum, { bytes }) => sum + bytes, 0)

/** Fails when the store's disk has no room for what is to come; what came before is the estimate. */
export const ensureSpace = Effect.fnUntraced(function* (
  { store, settings }: Pick<Session, "store" | "settings">,
  node: string,
  bytes: number
) {
  const free = yield* storing({ node })(store.diskFree)
  const needed = bytes + settings.reserve_bytes
  if (free >= needed) return
  const detail = `about ${mebibytes(needed)} are still needed in ${store.root}, ${mebibytes(free)} are free`
  const hint = "free some space and run again, or place the store elsewhere: finished work is kept"
  return yield* new NodeError({ code: "R423", node, detail, hint })
})
