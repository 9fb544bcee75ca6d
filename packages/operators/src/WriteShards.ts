/**
 * WriteShards: rows as a dataset that other tools read: Parquet as Hugging Face stores images, or Arrow, and a dataset card.
 *
 *   any inputs  columns, under the names given to them; `row_id` goes along, so that the rows can be traced back
 *   dataset     train-00000.parquet ..., README.md
 *
 * Shards end after `rows_per_shard` rows or 64 MiB, whatever batches the rows came in. `load_dataset("parquet", ...)` and
 * ReadPairs read the folder.
 */
import {
  datasetCard,
  decodeShard,
  defaultShardSize,
  encodeParquet,
  encodeShard,
  makeShardSplitter
} from "@bootlace/data"
import { Operator } from "@bootlace/graph"
import type { ArtifactWriter, Batch, Files } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { noRows } from "./metrics/MetricsArtifact.ts"
import { onRows } from "./RowValues.ts"

const encoders = {
  parquet: encodeParquet,
  arrow: (batch: Batch) => encodeShard([batch])
} as const

const config = Schema.Struct({
  format: Schema.Literals(["parquet", "arrow"])
    .annotate({ description: "parquet for other tools, arrow for reading in place" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed("parquet" as const))),
  rows_per_shard: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000_000 }))
    .annotate({ description: "rows of a file at most" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(defaultShardSize.max_rows))),
  license: Schema.optionalKey(Schema.String.annotate({ description: "of the data, as the Hub spells it: cc-by-4.0" })),
  description: Schema.optionalKey(
    Schema.String.annotate({ description: "what the data is, in Markdown, for the card" })
  )
})
type Config = typeof config.Type

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

export const WriteShards = Operator.fold({
  name: "WriteShards",
  version: 1,
  description: "Writes rows as a Hugging Face dataset: Parquet or Arrow shards and a card.",
  config,
  inputs: {},
  openInputs: true,
  outputs: { dataset: "dataset" },
  body: {
    open: ({ node, config: given, writer }) =>
      Effect.sync(() => {
        const writing = makeWriting(node, given, writer)
        return {
          step: (_, batch) => writing.step(batch),
          snapshot: onRows(node, writing.snapshot),
          restore: (files) => onRows(node, () => writing.restore(files)),
          finish: writing.finish
        }
      })
  }
})
