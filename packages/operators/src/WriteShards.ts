/**
 * WriteShards: rows as a dataset that other tools read: Parquet as Hugging Face stores images, or Arrow, and a dataset card.
 *
 *   any inputs  columns, under the names given to them; `row_id` goes along, so that the rows can be traced back
 *   dataset     train-00000.parquet ..., README.md
 *
 * Shards end after `rows_per_shard` rows or 64 MiB, whatever batches the rows came in. `load_dataset("parquet", ...)` and
 * ReadPairs read the folder.
 */
import { defaultShardSize } from "@bootlace/data/ShardSize"
import { openLater, Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

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
export type Config = typeof config.Type

export const WriteShards = Operator.fold({
  name: "WriteShards",
  version: 1,
  description: "Writes rows as a Hugging Face dataset: Parquet or Arrow shards and a card.",
  config,
  inputs: {},
  openInputs: true,
  outputs: { dataset: "dataset" },
  body: { open: openLater(async () => (await import("./bodies/WriteShards.ts")).open) }
})
