/** Every check of one case, by its kind, through the product: folder reader, pixels, tokenizer, programs, engine. */
import { Engine } from "@bootlace/engine"
import type { HostTensor, HostTensors } from "@bootlace/engine"
import { wordPiece } from "@bootlace/models"
import type { Preprocess, Tokenizer } from "@bootlace/models"
import { readCheckpointFolder } from "@bootlace/operators"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { blipDecoderChecks, blipForwardChecks } from "./BlipChecks.ts"
import { failed, guarded } from "./Check.ts"
import type { Check } from "./Check.ts"
import { clipForwardChecks, clipTrainingChecks, zeroShotChecks } from "./ClipChecks.ts"
import type { Case } from "./FindCases.ts"
import { generateChecks } from "./GenerateChecks.ts"
import { ourNames } from "./Names.ts"
import { pixelChecks } from "./PixelChecks.ts"
import { pretrainingChecks, pretrainingModel } from "./PretrainChecks.ts"
import type { Recipe } from "./PretrainChecks.ts"
import { retrievalChecks } from "./RetrievalChecks.ts"
import { readJson, readTensors } from "./Stored.ts"
import { tokenChecks } from "./TokenChecks.ts"

/** Files whose pixels and token rows belong to the collection's images and texts. */
const inputFiles = ["expected_forward", "expected_pixels", "expected_lm"]

const inputChecks = Effect.fnUntraced(function* (
  { folder, collection }: Case,
  preprocess: Preprocess,
  tokenizer: Tokenizer | undefined,
  kind: "transformers" | "open_clip"
) {
  const checks: Array<Check> = []
  let rows: HostTensors = {}
  for (const file of inputFiles) {
    const expected = yield* readTensors(join(folder, `${file}.safetensors`))
    if (expected === undefined) continue
    if (rows["input_ids"] === undefined) rows = expected
    const processor = kind === "open_clip" ? "open_clip" : "transformers_pillow"
    if (collection !== undefined)
      checks.push(...(yield* pixelChecks(collection, folder, preprocess, processor, expected)))
  }
  const tokens = tokenizer === undefined ? [] : tokenChecks(tokenizer, folder, collection, rows)
  return [...tokens, ...checks]
})

const modelChecks = Effect.fnUntraced(function* (at: Case) {
  const { folder } = at
  const executor = yield* Engine
  const { model, weights, tokenizer, format } = yield* readCheckpointFolder(folder)
  const loaded = yield* executor.load(weights)
  const expected = (yield* readTensors(join(folder, "expected_forward.safetensors"))) ?? {}
  const inputs = yield* guarded("inputs", inputChecks(at, model.preprocess, tokenizer, format))
  if (model.architecture !== "blip") {
    return [
      ...inputs,
      ...(yield* guarded("forward", clipForwardChecks(model, loaded, expected))),
      ...(tokenizer === undefined ? [] : yield* guarded("zero-shot", zeroShotChecks(model, loaded, tokenizer, folder))),
      ...(yield* guarded("training", clipTrainingChecks(model, loaded, folder)))
    ]
  }
  return [
    ...inputs,
    ...(yield* guarded("forward", blipForwardChecks(model, loaded, expected))),
    ...(yield* guarded("decoder", blipDecoderChecks(model, loaded, folder))),
    ...(yield* guarded("generation", generateChecks(model, loaded, tokenizer, folder)))
  ]
}, Effect.scoped)

/** What the case has itself, then what the cases beside it have; those with the nearest name first. */
const inherit = (at: Case, cases: ReadonlyArray<Case>): ReadonlyArray<string> => {
  const kin = cases.filter(({ kind, folder }) => kind === "pretraining" && dirname(folder) === dirname(at.folder))
  const isPrefix = ({ name }: Case): boolean => at.name.startsWith(name)
  const others = kin.filter(({ folder }) => folder !== at.folder)
  return [at, ...others.filter(isPrefix), ...others.filter((other) => !isPrefix(other))].map(({ folder }) => folder)
}

const initialTensors = Effect.fnUntraced(function* (folders: ReadonlyArray<string>) {
  let all: Record<string, HostTensor> = {}
  for (const folder of folders) all = { ...(yield* readTensors(join(folder, "init.safetensors"))), ...all }
  return all as HostTensors
})

const pretraining = Effect.fnUntraced(function* (at: Case, cases: ReadonlyArray<Case>) {
  const executor = yield* Engine
  const recipe = readJson<Recipe>(at.folder, "expected_train.json")!
  const expected = yield* readTensors(join(at.folder, "expected_train.safetensors"))
  if (expected === undefined) return [failed("files", "expected_train.safetensors is missing")]
  const folders = inherit(at, cases)
  const init = yield* initialTensors(folders)
  if (init["image_queue"] === undefined) {
    const detail = `no image_queue: its tensors are a case's beside it, so give the folder of both, ${dirname(at.folder)}`
    return [failed("init.safetensors", detail)]
  }
  const model = pretrainingModel(recipe)
  const weights = Object.fromEntries(
    [...ourNames(model, Object.keys(init))].map(([theirs, ours]) => [ours, init[theirs]!])
  )
  const loaded = yield* executor.load(weights)
  const vocabulary = folders.map((folder) => join(folder, "vocab.txt")).find((file) => existsSync(file))
  const tokens =
    vocabulary === undefined
      ? []
      : tokenChecks(wordPiece(readFileSync(vocabulary, "utf8")), at.folder, at.collection, expected)
  const preprocess = model.preprocess
  const pixels =
    at.collection === undefined
      ? []
      : yield* guarded("pixels", pixelChecks(at.collection, at.folder, preprocess, "transformers_pillow", expected))
  return [...tokens, ...pixels, ...(yield* pretrainingChecks(model, loaded, recipe, init, weights, expected))]
}, Effect.scoped)

const checksOf = (at: Case, cases: ReadonlyArray<Case>) => {
  if (at.kind === "pretraining") return pretraining(at, cases)
  if (at.kind !== "retrieval") return modelChecks(at)
  return Effect.flatMap(readTensors(join(at.folder, "expected_retrieval.safetensors")), (expected) =>
    retrievalChecks(expected ?? {})
  )
}

/** The checks of a case. One of an unknown kind, or with nothing to check, is a failed check. */
export const runCase = Effect.fnUntraced(function* (at: Case, cases: ReadonlyArray<Case>) {
  if (at.kind === undefined) return [failed("kind", `a folder of no known kind: ${at.reason}`)]
  const checks = yield* guarded("case", checksOf(at, cases))
  return checks.length === 0 ? [failed("expectations", "nothing here to compare with")] : checks
})
