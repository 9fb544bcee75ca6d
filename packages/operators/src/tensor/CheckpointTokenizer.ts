/** The tokenizer of a checkpoint folder: CLIP's byte-level BPE in transformers' or OpenAI's files, or BERT's vocab.txt. */
import { Files, parseJson } from "@bootlace/data"
import type { Limits } from "@bootlace/data"
import { byteLevelBPE, openAiBPE, wordPiece } from "@bootlace/models"
import type { ByteLevelBPEFiles, Tokenizer } from "@bootlace/models"
import { Effect } from "effect"
import { join } from "node:path"
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import { attemptCheckpoint, CheckpointError } from "./CheckpointFolder.ts"

const unzip = promisify(gunzip)

/** OpenAI's file is gzipped text of 1.3 MB; a limit keeps a bomb out. */
const readMergesFile = Effect.fnUntraced(function* (folder: string, name: string, limits: Limits) {
  const files = yield* Files
  const bytes = yield* files.read(join(folder, name))
  const plain = yield* Effect.tryPromise({
    try: () => unzip(bytes, { maxOutputLength: limits.json_bytes }),
    catch: (cause) => new CheckpointError({ folder, detail: `${name}: ${(cause as Error).message}` })
  })
  return new TextDecoder().decode(plain)
})

/** Reads what is there. Undefined when the folder holds no tokenizer. */
export const readTokenizer = Effect.fnUntraced(function* (
  folder: string,
  names: ReadonlyArray<string>,
  format: "transformers" | "open_clip",
  limits: Limits
) {
  const files = yield* Files
  const text = (name: string) => Effect.map(files.read(join(folder, name)), (bytes) => new TextDecoder().decode(bytes))
  const gzipped = names.find((name) => name.endsWith(".txt.gz"))
  if (format === "open_clip" && gzipped !== undefined) {
    const merges = yield* readMergesFile(folder, gzipped, limits)
    return (yield* attemptCheckpoint(folder, () => openAiBPE(merges))) as Tokenizer
  }
  if (names.includes("vocab.json") && names.includes("merges.txt")) {
    const bytes = yield* files.read(join(folder, "vocab.json"))
    const merges = yield* text("merges.txt")
    return (yield* attemptCheckpoint(folder, () => {
      const vocab = parseJson(bytes, limits, { file: "vocab.json" }) as ByteLevelBPEFiles["vocab"]
      return format === "open_clip" ? openAiBPE(merges) : byteLevelBPE({ vocab, merges })
    })) as Tokenizer
  }
  if (!names.includes("vocab.txt")) return undefined
  const vocabulary = yield* text("vocab.txt")
  return (yield* attemptCheckpoint(folder, () => wordPiece(vocabulary))) as Tokenizer
})
