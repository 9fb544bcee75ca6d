/**
 * Find input: the file of a source's row and its place there. Artifacts hold no paths, so the run's pipeline is read out of its
 * lock, its source opened where it is now, and the row looked for by its id: whoever has the id has the content.
 */
import { rowIdHex, sourceRowIds } from "@bootlace/data"
import type { Files } from "@bootlace/data"
import type { Source, SourceBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { join, relative } from "node:path"
import { planOf } from "./LoadPipeline.ts"
import { readLock } from "./RunLock.ts"

export interface InputSearch {
  readonly store: string
  readonly run: string
  /** A source. */
  readonly node: string
  readonly row_id: string
  readonly noConfig: boolean
}

const placeIn = ({ shards, place }: Source<Files>, row_id: string): string | undefined => {
  for (const [shard, { key, rows }] of shards.entries()) {
    if (rows === undefined || place === undefined) continue
    const ids = sourceRowIds(key, 0, rows)
    for (let row = 0; row < rows; row++) if (rowIdHex(ids, row) === row_id) return place(shard, row)
  }
  return undefined
}

const search = Effect.fnUntraced(function* ({ store, run, node: id, row_id, noConfig }: InputSearch) {
  const { pipeline } = yield* readLock(join(store, "runs", run, "run.lock"))
  const { plan, directory } = yield* planOf({ only: [], ...pipeline, seed: pipeline.seed, noConfig })
  const node = plan.nodes.find((each) => each.id === id)
  if (node?.operator.kind !== "source") return undefined
  const { open } = node.operator.body as SourceBody<unknown, Files>
  const source = yield* open({ node: id, config: node.config, seed: plan.seed, directory, artifacts: {} })
  const place = placeIn(source, row_id)
  return place === undefined ? undefined : relative(process.cwd(), place)
}, Effect.scoped)

/** Undefined where the run isn't finished, the input has changed or is elsewhere, or its source knows no places. */
export const findInput = (input: InputSearch) => Effect.catchCause(search(input), () => Effect.succeed(undefined))
