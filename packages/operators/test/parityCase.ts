/** The files of test/parity, for tests of operators against PyTorch's numbers. */
import { readFileSync } from "node:fs"
import { Files, openSafetensors } from "@bootlace/data"
import { Effect } from "effect"
import { runIn } from "./inMemory.ts"

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
