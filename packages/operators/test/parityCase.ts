/** The files of test/parity, for tests of operators against PyTorch's numbers. */
import { readFileSync } from "node:fs"
import { Files, openSafetensors } from "@bootlace/data"
import { fromHuggingFace, modelFromConfig } from "@bootlace/models"
import { Effect } from "effect"
import { encodeTensors } from "../src/tensor/TensorFile.ts"
import { artifactOf, runIn } from "./inMemory.ts"

const folder = new URL("../../../test/parity/", import.meta.url)

export const bytesOfCase = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)))
export const readCase = (name: string) => JSON.parse(new TextDecoder().decode(bytesOfCase(name)))

export const tensorsOfCase = (name: string): Promise<Readonly<Record<string, Float32Array>>> =>
  runIn(
    { layer: Files.layer },
    Effect.gen(function* () {
      const file = yield* openSafetensors(new URL(name, folder).pathname)
      const names = [...file.tensors.keys()]
      const values = yield* Effect.forEach(names, (each) => file.float32(each))
      return Object.fromEntries(names.map((each, i) => [each, values[i]!]))
    })
  )

/** A model artifact made of a Hugging Face folder; heads that the folder lacks take initial weights. */
export const blipOfCase = async (name: string) => {
  const config = { ...readCase(`${name}/config.json`), max_text_length: 30 }
  const model = modelFromConfig(config)
  const stored = await tensorsOfCase(`${name}/model.safetensors`)
  const { names } = fromHuggingFace(model, Object.keys(stored))
  const initial = model.init(1)
  const weights = Object.entries(model.shapes).map(([weight, shape]) => {
    const data = names[weight] === undefined ? initial[weight]! : stored[names[weight]]!
    return [weight, { shape, dtype: "float32" as const, data }]
  })
  return artifactOf("model", {
    "config.json": new TextEncoder().encode(JSON.stringify(config)),
    "vocab.txt": bytesOfCase(`${name}/vocab.txt`),
    "model.safetensors": encodeTensors(Object.fromEntries(weights))
  })
}
