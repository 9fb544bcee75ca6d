/** Adds the ONNX files that transformers.js reads to the model of a folder: `node bench/infer/exportOnnx.ts FOLDER`, FOLDER InferFolder's. */
import { Files } from "@bootlace/data"
import { exportOnnx, readCheckpointFolder } from "@bootlace/operators"
import { Effect } from "effect"
import { join } from "node:path"

const folder = join(process.argv[2]!, "theirs")

const adding = Effect.gen(function* () {
  const { model, weights, vocabulary = "" } = yield* readCheckpointFolder(folder)
  yield* exportOnnx({ model, weights, vocabulary }, folder)
})

await Effect.runPromise(adding.pipe(Effect.provide(Files.layer)))
