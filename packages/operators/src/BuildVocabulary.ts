/**
 * BuildVocabulary: the WordPiece vocabulary of the texts that a model will be trained on.
 *
 *   text        text columns of any row sets; empty and missing ones add nothing
 *   vocabulary  vocab.txt: special tokens first ([PAD] is 0), then characters and pieces by the order in which they were made
 *
 * The fold counts normalised words, so the result depends on neither order nor batches. Devlin et al. 2019, section 3.
 */
import { openLater, Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const config = Schema.Struct({
  vocab_size: Schema.Int.check(Schema.isBetween({ minimum: 16, maximum: 1_000_000 }))
    .annotate({ description: "pieces at most, special tokens included" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(4096))),
  min_frequency: Schema.Int.check(Schema.isGreaterThan(0))
    .annotate({ description: "pieces seen together less often are never joined" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(2)))
})
export type Config = typeof config.Type

export const BuildVocabulary = Operator.fold({
  name: "BuildVocabulary",
  version: 1,
  description: "Makes a WordPiece vocabulary of texts.",
  config,
  inputs: { text: { column: "text", many: true } },
  outputs: { vocabulary: "vocabulary" },
  body: { open: openLater(async () => (await import("./bodies/BuildVocabulary.ts")).open) }
})
