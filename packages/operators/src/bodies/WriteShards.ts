/** WriteShards at work: rows are held until they make a shard. */
import {
  datasetCard,
  decodeShard,
  defaultShardSize,
  encodeParquet,
  encodeShard,
  makeShardSplitter
} from "@bootlace/data"
import type { ArtifactWriter, Batch, Files, FoldBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { noRows } from "../metrics/MetricsArtifact.ts"
import { onRows } from "../RowValues.ts"
import type { Config } from "../WriteShards.ts"

const encoders = {
  parquet: encodeParquet,
  arrow: (batch: Batch) => encodeShard([batch])
} as const

/** What is written so far. */
const Written = Schema.Struct({ shards: Schema.Int, rows: Schema.Int, bytes: Schema.Int })
type Written = typeof Written.Type

const stateFile = "written.json"
const pendingFile = "pending.arrow"
const utf8 = new TextEncoder()

const makeWriting = (
  node: string,
  { format, rows_per_shard, license, description }: Config,
  writer: ArtifactWriter
) => {
  const splitter = makeShardSplitter({ ...defaultShardSize, max_rows: rows_per_shard })
  let written: Written = { shards: 0, rows: 0, bytes: 0 }
  let columns: Batch | undefined

  const write = Effect.fnUntraced(function* (shard: Batch) {
    const bytes = yield* onRows(node, () => encoders[format](shard))
    yield* writer.write(`train-${String(written.shards).padStart(5, "0")}.${format}`, bytes, shard.numRows)
    written = { shards: written.shards + 1, rows: written.rows + shard.numRows, bytes: written.bytes + bytes.length }
  })

  const step = Effect.fnUntraced(function* (batch: Batch) {
    columns ??= batch
    yield* Effect.forEach(yield* onRows(node, () => splitter.push(batch)), write)
  })

  const snapshot = (): Files => {
    const pending = splitter.pending()
    const held = pending ?? columns
    return {
      [stateFile]: utf8.encode(JSON.stringify(written)),
      ...(held === undefined ? {} : { [pendingFile]: encodeShard([pending ?? held.slice(0, 0)]) })
    }
  }

  const restore = (files: Files): void => {
    written = Schema.decodeUnknownSync(Schema.fromJsonString(Written))(new TextDecoder().decode(files[stateFile]))
    const pending = files[pendingFile]
    for (const batch of pending === undefined ? [] : decodeShard(pending, pendingFile)) {
      columns = batch
      splitter.push(batch)
    }
  }

  const finish = Effect.gen(function* () {
    const last = splitter.finish()
    if (last !== undefined && last.numRows > 0) yield* write(last)
    if (columns === undefined || written.rows === 0) return yield* noRows(node)
    const card = datasetCard({
      name: node,
      description: description ?? `Rows of the node \`${node}\` of a Bootlace pipeline.`,
      files: `train-*.${format}`,
      num_rows: written.rows,
      num_bytes: written.bytes,
      columns,
      ...(license === undefined ? {} : { license })
    })
    yield* writer.write("README.md", utf8.encode(card))
    return {}
  })
  return { step, snapshot, restore, finish }
}

export const open: FoldBody<Config, never>["open"] = ({ node, config: given, writer }) =>
  Effect.sync(() => {
    const writing = makeWriting(node, given, writer)
    return {
      step: (_, batch) => writing.step(batch),
      snapshot: onRows(node, writing.snapshot),
      restore: (files) => onRows(node, () => writing.restore(files)),
      finish: writing.finish
    }
  })
