/** ReadPairs at work: the data room opens the files. */
import { openPairs, selectColumns, withLimits } from "@bootlace/data"
import type { Files, PairBatch, PairOptions } from "@bootlace/data"
import type { Source, SourceBatch, SourceBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { resolve } from "node:path"
import { codeOf, dataFailure } from "../DataFailure.ts"
import type { Config } from "../ReadPairs.ts"

const optionsOf = ({ columns, verify, limits: given }: Config): PairOptions => ({
  images: verify ? "decode" : "header",
  ...(given === undefined ? {} : { limits: withLimits(given) }),
  ...(columns?.image === undefined ? {} : { image_column: columns.image }),
  ...(columns?.text === undefined ? {} : { text_column: columns.text })
})

/** The runtime makes the rows' ids. */
const sourceBatch = ({ batch, rejected }: PairBatch): SourceBatch => ({
  batch: selectColumns(batch, { image: "image", text: "text" }),
  rejected: rejected.map(({ row, code, reason }) => ({ row, code: codeOf(code), reason }))
})

export const open: SourceBody<Config, Files>["open"] = Effect.fnUntraced(function* ({
  node,
  config: given,
  directory
}) {
  const path = resolve(directory, given.path)
  const hint = `path is ${JSON.stringify(given.path)}, looked up from ${directory}`
  const pairs = yield* openPairs(path, optionsOf(given)).pipe(Effect.mapError(dataFailure(node, hint)))
  const source: Source<Files> = {
    content: pairs.content,
    shards: pairs.shards,
    place: pairs.place,
    read: (shard) => pairs.read(shard).pipe(Stream.map(sourceBatch), Stream.mapError(dataFailure(node)))
  }
  return source
})
