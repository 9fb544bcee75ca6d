/**
 * BuildVocabulary: the WordPiece vocabulary of the texts that a model will be trained on.
 *
 *   text        text columns of any row sets; empty and missing ones add nothing
 *   vocabulary  vocab.txt: special tokens first ([PAD] is 0), then characters and pieces by the order in which they were made
 *
 * The fold counts normalised words, so the result depends on neither order nor batches. Devlin et al. 2019, section 3.
 */
import { columnOf, textsOf } from "@bootlace/data"
import { Operator } from "@bootlace/graph"
import type { Files } from "@bootlace/graph"
import { countWords, trainWordPiece } from "@bootlace/models"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { noRows } from "./metrics/MetricsArtifact.ts"
import { onRows } from "./RowValues.ts"

const countsFile = "counts.json"
const utf8 = new TextEncoder()

const saved = (counts: ReadonlyMap<string, number>): Files => ({
  [countsFile]: utf8.encode(JSON.stringify([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))))
})

const restored = (files: Files): Map<string, number> =>
  new Map(JSON.parse(new TextDecoder().decode(files[countsFile])) as ReadonlyArray<[string, number]>)

export const BuildVocabulary = Operator.fold({
  name: "BuildVocabulary",
  version: 1,
  description: "Makes a WordPiece vocabulary of texts.",
  config: Schema.Struct({
    vocab_size: Schema.Int.check(Schema.isBetween({ minimum: 16, maximum: 1_000_000 }))
      .annotate({ description: "pieces at most, special tokens included" })
      .pipe(Schema.withDecodingDefaultKey(Effect.succeed(4096))),
    min_frequency: Schema.Int.check(Schema.isGreaterThan(0))
      .annotate({ description: "pieces seen together less often are never joined" })
      .pipe(Schema.withDecodingDefaultKey(Effect.succeed(2)))
  }),
  inputs: { text: { column: "text", many: true } },
  outputs: { vocabulary: "vocabulary" },
  body: {
    open: ({ node, config, writer }) =>
      Effect.sync(() => {
        let counts = new Map<string, number>()
        return {
          step: (_, batch) =>
            onRows(node, () => {
              for (const text of textsOf(columnOf(batch, "text"))) countWords(counts, text ?? "")
            }),
          snapshot: Effect.sync(() => saved(counts)),
          restore: (files) =>
            onRows(node, () => {
              counts = restored(files)
            }),
          finish: Effect.gen(function* () {
            if (counts.size === 0) return yield* noRows(node)
            const pieces = yield* onRows(node, () => trainWordPiece(counts, config))
            yield* writer.write("vocab.txt", utf8.encode(`${pieces.join("\n")}\n`))
            return { pieces: pieces.length }
          })
        }
      })
  }
})
