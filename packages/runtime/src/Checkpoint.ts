/**
 * Checkpoints: snapshots of a fold or train, committed as artifacts under keys of their own. Two are kept, so that a damaged
 * one costs the steps since the one before; all go once the result itself is committed.
 */
import { keyOf } from "@bootlace/data"
import type { Files, NodeError } from "@bootlace/graph"
import { Effect } from "effect"
import { ensureSpace } from "./DiskSpace.ts"
import { callOperator, storing } from "./Guard.ts"
import type { Session } from "./Session.ts"

const kept = 2

/** `at`: steps or batches done; checkpoints exist at multiples of `every` only. */
export const makeCheckpoints = (session: Session, node: string, key: string, every: number) => {
  const { store } = session
  const storedBy = storing({ node })
  const keyAt = (at: number): string => keyOf({ checkpoint_of: key, at })

  const save = (at: number, files: Files): Effect.Effect<void, NodeError> =>
    Effect.gen(function* () {
      // This one, and the result after it.
      const bytes = Object.values(files).reduce((sum, file) => sum + file.length, 0)
      yield* ensureSpace(session, node, 2 * bytes)
      const draft = yield* storedBy(store.begin(keyAt(at)))
      for (const [name, bytes] of Object.entries(files)) yield* storedBy(draft.write(name, bytes))
      yield* storedBy(draft.commit({ type: "checkpoint", of: key, at }))
      if (at > kept * every) yield* storedBy(store.remove(keyAt(at - kept * every)))
    }).pipe(Effect.scoped)

  const load = Effect.fnUntraced(function* (at: number) {
    if ((yield* storedBy(store.peek(keyAt(at)))) === undefined) return undefined
    const artifact = yield* storedBy(store.open(keyAt(at)))
    if (artifact === undefined) return undefined
    const files: Record<string, Uint8Array> = {}
    for (const { name } of artifact.files) files[name] = yield* storedBy(artifact.read(name))
    return files as Files
  })

  /**
   * Opens a body and restores the newest checkpoint that is whole and fits, at most at `last`; `at` is 0 where there is none.
   * One that doesn't fit leaves the body in an unknown state: unless an older one fits, another is opened.
   */
  const resume = <R, RO, Body extends { readonly restore: (files: Files) => Effect.Effect<void, NodeError, R> }>(
    open: Effect.Effect<Body, NodeError, RO>,
    last: (body: Body) => number
  ): Effect.Effect<{ readonly body: Body; readonly at: number }, NodeError, R | RO> =>
    Effect.gen(function* () {
      const body = yield* open
      let isUntouched = true
      for (let at = Math.floor(last(body) / every) * every; at > 0; at -= every) {
        const files = yield* load(at)
        if (files === undefined) continue
        const tried = yield* Effect.result(
          callOperator({ node }, session.settings.call_timeout, () => body.restore(files))
        )
        if (tried._tag === "Success") return { body, at }
        isUntouched = false
        yield* Effect.logWarning(`${node}: checkpoint ${at} is not usable: ${tried.failure.message}`)
        yield* storedBy(store.remove(keyAt(at)))
      }
      return { body: isUntouched ? body : yield* open, at: 0 }
    })

  const clear = (last: number): Effect.Effect<void, NodeError> => {
    const newest = Math.floor(last / every) * every
    const places = Array.from({ length: kept + 1 }, (_, i) => newest - i * every).filter((at) => at > 0)
    return Effect.forEach(places, (at) => storedBy(store.remove(keyAt(at))), { discard: true })
  }

  return { save, resume, clear }
}
