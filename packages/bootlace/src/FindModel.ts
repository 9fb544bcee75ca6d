/**
 * A trained model by where it is: a node of a run (`latest`, an id or its beginning) or a folder, our own or one of transformers
 * or open_clip.
 */
import { ArtifactStore, defaultLimits, Files, openSafetensors, parseJson, sha256 } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { Artifact, ArtifactWriter, RunRecord } from "@bootlace/graph"
import { modelFromConfig, tokenizerOf } from "@bootlace/models"
import { CheckpointError, readCheckpointFolder, writeModel } from "@bootlace/operators"
import * as Effect from "effect/Effect"
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { usage } from "./Failure.ts"
import { findRun } from "./FindRun.ts"
import { existingStore } from "./Machinery.ts"

export interface FoundModel {
  readonly artifact: Artifact
  /** Weights that a checkpoint's class doesn't have, drawn at random: what reads them is no use. */
  readonly missing: ReadonlyArray<string>
  /** The run that made it and its node there; of a folder nobody knows. */
  readonly origin?: { readonly record: RunRecord; readonly node: string }
}

/** `RUN:NODE`; a node's name may hold a colon nowhere, a folder's might. */
export const splitModel = (model: string): readonly [string, string | undefined] => {
  const at = model.lastIndexOf(":")
  return at <= 0 ? [model, undefined] : [model.slice(0, at), model.slice(at + 1)]
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false
  )

const isModelFolder = (path: string): Effect.Effect<boolean> =>
  Effect.promise(async () => (await isFile(join(path, "config.json"))) || isFile(join(path, "open_clip_config.json")))

const weightsFile = "model.safetensors"

/**
 * Weights that were read to hash them, for the first who asks: loading a model takes over the memory that they are in. Whoever
 * asks again has them read anew, and compared.
 */
const handedOver = (
  folder: string,
  first: Uint8Array,
  again: Effect.Effect<Uint8Array, { readonly message: string }>
) => {
  const digest = sha256(first)
  let held: Uint8Array | undefined = first
  const fail = (detail: string): NodeError => new NodeError({ code: "R401", node: "model", detail })
  const take = Effect.gen(function* () {
    const bytes = held ?? (yield* Effect.mapError(again, ({ message }) => fail(message)))
    if (held === undefined && sha256(bytes) !== digest) return yield* fail(`${folder} changed while it was used`)
    held = undefined
    return bytes
  })
  return { digest, take }
}

const readingFile = (path: string) =>
  Effect.tryPromise({
    try: async (): Promise<Uint8Array> => await readFile(path),
    catch: (cause) => new NodeError({ code: "R401", node: "model", detail: (cause as Error).message })
  })

/** Whether the files are those that a training writes; of the weights only the header is read. */
const areOurs = Effect.fnUntraced(function* (folder: string) {
  const config = yield* readingFile(join(folder, "config.json"))
  const vocabulary = new TextDecoder().decode(yield* readingFile(join(folder, "vocab.txt")))
  const { shapes } = yield* Effect.try(() => {
    const model = modelFromConfig(parseJson(config, defaultLimits, { file: "config.json" }))
    tokenizerOf(model, vocabulary, { literal: true })
    return model
  })
  const { tensors } = yield* openSafetensors(join(folder, weightsFile))
  const isOurs = ([name, shape]: readonly [string, ReadonlyArray<number>]): boolean => {
    const found = tensors.get(name)
    return found?.dtype === "F32" && found.shape.join() === shape.join()
  }
  return Object.keys(shapes).length === tensors.size && Object.entries(shapes).every(isOurs)
}, Effect.scoped)

/** Files of a folder as an artifact: its digest is that of its weights. */
const filesModel = Effect.fnUntraced(function* (folder: string) {
  const files = yield* Effect.promise(() => readdir(folder))
  const reading = readingFile(join(folder, weightsFile))
  const { digest, take } = handedOver(folder, yield* reading, reading)
  const read = (name: string) => (name === weightsFile ? take : readingFile(join(folder, name)))
  const artifact: Artifact = { type: "model", digest, files, read }
  return { artifact, missing: [] } satisfies FoundModel
})

/** A folder of transformers or open_clip, in our own files. */
const checkpointModel = Effect.fnUntraced(function* (folder: string) {
  const { model, weights, file, vocabulary, missing } = yield* readCheckpointFolder(folder)
  if (vocabulary === undefined) return yield* usage(`error: ${folder} has no tokenizer`)
  const files = new Map<string, Uint8Array>()
  const write: ArtifactWriter["write"] = (name, bytes) =>
    Effect.sync(() => {
      if (bytes instanceof Uint8Array) files.set(name, bytes)
    })
  yield* writeModel({ write }, { model, weights, vocabulary })
  const reading = readCheckpointFolder(folder).pipe(
    Effect.map((again) => again.file),
    Effect.provide(Files.layer)
  )
  const { digest, take } = handedOver(folder, file, reading)
  const read = (name: string) => (name === weightsFile ? take : Effect.sync(() => new Uint8Array(files.get(name)!)))
  const artifact: Artifact = { type: "model", digest, files: [...files.keys(), weightsFile], read }
  return { artifact, missing } satisfies FoundModel
})

const folderModel = (folder: string) =>
  Effect.orElseSucceed(areOurs(folder), () => false).pipe(
    Effect.flatMap((ours): Effect.Effect<FoundModel, unknown, Files> =>
      ours ? filesModel(folder) : checkpointModel(folder)
    ),
    Effect.mapError((error) => (error instanceof CheckpointError ? usage(`error: ${error.message}`) : error)),
    Effect.provide(Files.layer)
  )

const runModel = Effect.fnUntraced(function* (root: string, run: string, node: string | undefined) {
  const store = yield* ArtifactStore
  const record = yield* findRun(root, run)
  const models = record.artifacts.filter((artifact) => artifact.type === "model")
  const wanted = node === undefined ? models.at(-1) : models.find((artifact) => artifact.node === node)
  const known = models.map((artifact) => artifact.node).join(", ") || "none"
  if (wanted === undefined)
    return yield* usage(`error: run ${record.run} has no model of a node ${node ?? ""}\nhint: its models are ${known}`)
  const committed = yield* store.open(wanted.key)
  if (committed === undefined)
    return yield* usage(`error: the model of ${wanted.node} has gone from the store\nhint: run the pipeline again`)
  const read = (name: string) =>
    Effect.mapError(
      committed.read(name),
      (error) => new NodeError({ code: "R401", node: wanted.node, detail: error.message })
    )
  const files = committed.files.map((file) => file.name)
  const artifact: Artifact = { type: "model", digest: committed.digest, files, read }
  return { artifact, missing: [], origin: { record, node: wanted.node } } satisfies FoundModel
})

/** Without a node, the run's last model. Fails with a message that says what is missing. */
export const findModel = (root: string, runOrFolder: string, node: string | undefined) =>
  Effect.gen(function* () {
    const isFolder = yield* isModelFolder(runOrFolder)
    const found: FoundModel = isFolder
      ? yield* folderModel(runOrFolder)
      : yield* runModel(root, runOrFolder, node).pipe(Effect.provide(existingStore(root)))
    return found
  })
