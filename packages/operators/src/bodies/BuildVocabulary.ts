/** BuildVocabulary at work: normalised words counted, pieces made of the counts at the end. */
import { columnOf, textsOf } from "@bootlace/data"
import type { Files, FoldBody } from "@bootlace/graph"
import { countWords, trainWordPiece } from "@bootlace/models"
import * as Effect from "effect/Effect"
import type { Config } from "../BuildVocabulary.ts"
import { noRows } from "../metrics/MetricsArtifact.ts"
import { onRows } from "../RowValues.ts"

const countsFile = "counts.json"
const utf8 = new TextEncoder()

const saved = (counts: ReadonlyMap<string, number>): Files => ({
  [countsFile]: utf8.encode(JSON.stringify([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))))
})

const restored = (files: Files): Map<string, number> =>
  new Map(JSON.parse(new TextDecoder().decode(files[countsFile])) as ReadonlyArray<[string, number]>)

export const open: FoldBody<Config, never>["open"] = ({ node, config, writer }) =>
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
