/** `bootlace init`: a pipeline over a folder of images and captions, with a word on how to lay the folder out. */
import * as Effect from "effect/Effect"
import { access, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Failure, usage } from "../Failure.ts"
import { out } from "../Screen.ts"

const pipeline = `# CLIP on your own images and captions, then retrieval on them.
#
#   npx bootlace check pipeline.yaml
#   npx bootlace run pipeline.yaml
version: 1
name: first
seed: 17
params:
  steps: { type: int, default: 200 }
models:
  clip: { architecture: clip, preset: micro, vocabulary: vocabulary }
nodes:
  pairs: { op: ReadPairs, path: data }
  vocabulary: { op: BuildVocabulary, in: { text: pairs.text } }
  train: { op: Train, init: clip, in: { pairs: pairs.pairs }, objectives: [itc], steps: "\${steps}" }
  image: { op: ImageEncoder, model: train.model, in: { image: pairs.image } }
  text: { op: TextEncoder, model: train.model, in: { text: pairs.text } }
  recall: { op: RetrievalRecall, in: { image_embeds: image.image_embeds, text_embeds: text.text_embeds } }
`

const dataReadme = `Put images here, and beside them a file metadata.jsonl with one line per image:

{"file_name": "0001.jpg", "text": "a red kite over the beach"}
{"file_name": "0002.png", "text": "two cats on a sofa"}

Or put Parquet files here that Hugging Face's datasets library wrote, with columns image and text.
`

const files: ReadonlyArray<readonly [string, string]> = [
  ["pipeline.yaml", pipeline],
  [join("data", "README.md"), dataReadme],
  [".gitignore", ".bootlace\nnode_modules\n"]
]

const exists = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    access(path).then(
      () => true,
      () => false
    )
  )

const write = (path: string, text: string): Effect.Effect<void, Failure> =>
  Effect.tryPromise({
    try: () => writeFile(path, text, { flag: "wx" }),
    catch: (cause) => new Failure({ exit: 1, message: `error: ${path} not written: ${(cause as Error).message}` })
  })

export const init = Effect.fnUntraced(function* ({ folder }: { readonly folder: string }) {
  if (yield* exists(join(folder, "pipeline.yaml")))
    return yield* usage(`error: ${join(folder, "pipeline.yaml")} is there already\nhint: bootlace init another-folder`)
  yield* Effect.tryPromise({
    try: () => mkdir(join(folder, "data"), { recursive: true }),
    catch: (cause) => new Failure({ exit: 1, message: `error: ${folder} not made: ${(cause as Error).message}` })
  })
  const made: Array<string> = []
  for (const [name, text] of files) {
    const path = join(folder, name)
    if (yield* exists(path)) continue
    yield* write(path, text)
    made.push(path)
  }
  const enter = folder === "." ? "" : `cd ${folder} && `
  yield* out(
    `${made.join("\n")}\nnext: put images and metadata.jsonl into ${join(folder, "data")}, then ${enter}npx bootlace run pipeline.yaml`
  )
})
