/**
 * A trained model by where it is: a node of a run (`latest`, an id or its beginning) or a folder with config.json and
 * model.safetensors.
 */
import { ArtifactStore, sha256 } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { Artifact, RunRecord } from "@bootlace/graph"
import { Effect } from "effect"
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { usage } from "./Failure.ts"
import { findRun } from "./FindRun.ts"
import { existingStore } from "./Machinery.ts"

export interface FoundModel {
  readonly artifact: Artifact
  /** The run that made it and its node there; of a folder nobody knows. */
  readonly origin?: { readonly record: RunRecord; readonly node: string }
}

/** `RUN:NODE`; a node's name may hold a colon nowhere, a folder's might. */
export const splitModel = (model: string): readonly [string, string | undefined] => {
  const at = model.lastIndexOf(":")
  return at <= 0 ? [model, undefined] : [model.slice(0, at), model.slice(at + 1)]
}

const isModelFolder = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    stat(join(path, "config.json")).then(
      (found) => found.isFile(),
      () => false
    )
  )

/** Files of a folder as an artifact: its digest is that of its weights. */
const folderModel = Effect.fnUntraced(function* (folder: string) {
  const files = yield* Effect.promise(() => readdir(folder))
  const read = (name: string) =>
    Effect.tryPromise({
      try: async (): Promise<Uint8Array> => await readFile(join(folder, name)),
      catch: (cause) => new NodeError({ code: "R401", node: "model", detail: (cause as Error).message })
    })
  const digest = sha256(yield* read("model.safetensors"))
  return { artifact: { type: "model", digest, files, read } } satisfies FoundModel
})

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
  return { artifact, origin: { record, node: wanted.node } } satisfies FoundModel
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
