/**
 * ReadPairs: image-text pairs from a Hugging Face Parquet or Arrow dataset, or from a folder of images.
 *
 *   path    a file or folder, from the pipeline file's folder on
 *   image   HF struct<bytes, path>, decoded once (`verify`) so that everything after it can trust the pixels
 *   text    as it stands there; empty and over-long texts are rejected with their reason
 *
 * Formats, limits and safety are the data room's (PairSource). The data's content is its identity: the same rows under another
 * path are the same source, and nothing downstream runs again.
 */
import { defaultLimits } from "@bootlace/data/limits"
import type { Limits } from "@bootlace/data"
import { openLater, Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const limit = Schema.Int.check(Schema.isGreaterThan(0))
const limits = Schema.Struct(
  Object.fromEntries(Object.keys(defaultLimits).map((name) => [name, Schema.optionalKey(limit)])) as Readonly<
    Record<keyof Limits, Schema.optionalKey<typeof limit>>
  >
)

const config = Schema.Struct({
  path: Schema.NonEmptyString.annotate({ description: "a file or folder of data, from the pipeline file's folder on" }),
  columns: Schema.optionalKey(
    Schema.Struct({
      image: Schema.optionalKey(Schema.String.annotate({ description: "where the image is; default image" })),
      text: Schema.optionalKey(Schema.String.annotate({ description: "where the text is; default text, else caption" }))
    }).annotate({ description: "what the columns are called in the data" })
  ),
  limits: Schema.optionalKey(
    limits.annotate({ description: "other limits for data that you trust, see docs/security.md" })
  ),
  verify: Schema.Boolean.annotate({
    description: "decode every image when it is read; false looks at headers only"
  }).pipe(Schema.withDecodingDefaultKey(Effect.succeed(true)))
})
export type Config = typeof config.Type

export const ReadPairs = Operator.source({
  name: "ReadPairs",
  version: 1,
  description: "Reads image-text pairs: Hugging Face Parquet or Arrow, or a folder of images.",
  config,
  inputs: {},
  ports: { pairs: { image: "image", text: "text" } },
  body: { open: openLater(async () => (await import("./bodies/ReadPairs.ts")).open) }
})
