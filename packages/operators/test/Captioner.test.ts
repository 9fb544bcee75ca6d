import { imageColumn, textsOf } from "@bootlace/data"
import type { Rejected } from "@bootlace/graph"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { Captioner } from "../src/Captioner.ts"
import { operatorContract } from "./contract.ts"
import { countedRuns } from "./countedRuns.ts"
import { contextOf, rowsOf, runIn } from "./inMemory.ts"
import type { Given } from "./inMemory.ts"
import { images, newModel, onnx } from "./tinyPairs.ts"

const blip = await newModel("blip")

operatorContract(Captioner, {
  config: { batch_size: 4, decode: { method: "nucleus", max_length: 6 } },
  artifacts: { model: blip },
  layer: onnx,
  columns: { image: imageColumn(images.slice(0, 5)) },
  nulls: { image: imageColumn([...images.slice(0, 3), null]) },
  badConfigs: [
    { config: { decode: { method: "beem" } }, names: /method/ },
    { config: { decode: { top_p: 0 } }, names: /top_p/ }
  ]
})

const caption = (given: typeof images, decode: object, seed = 7, more: object = {}, layer: Given["layer"] = onnx) =>
  runIn(
    { layer },
    Effect.gen(function* () {
      const context = yield* contextOf(Captioner, {
        config: { batch_size: 4, decode, ...more },
        artifacts: { model: blip },
        seed
      })
      const body = yield* Captioner.body.open(context as never)
      const { columns, rejected } = yield* body(rowsOf({ image: imageColumn(given) }))
      return { captions: textsOf(columns["caption"]!), rejected: rejected.map(({ row }: Rejected) => row) }
    })
  )

describe("Captioner", () => {
  const nucleus = { method: "nucleus", top_p: 0.9, max_length: 8 }

  it("draws a row's words from the seed and the row, not from the rows beside it", async () => {
    const all = await caption(images.slice(0, 7), nucleus)
    const some = await caption(images.slice(0, 6), nucleus)
    const keptAmongSix = all.captions.slice(0, 6 - some.rejected.length)
    expect(some.captions).toEqual(keptAmongSix)
    expect((await caption(images.slice(0, 7), nucleus, 8)).captions).not.toEqual(all.captions)
  })

  it.each(["greedy", "beam", "nucleus"])("reads a prompt in one run: %s", async (method) => {
    const runsOf = async (more: object) => {
      const { layer, runs } = countedRuns()
      await caption(images.slice(0, 4), { method, min_length: 12, max_length: 12 }, 7, more, layer)
      return Object.fromEntries([...runs].filter(([name]) => name.startsWith("Captioner")))
    }
    // [DEC] and the prompt are fed together, and of twelve tokens the last is never fed.
    expect(await runsOf({})).toEqual({ "Captioner prefill": 1, "Captioner step": 10 })
    expect(await runsOf({ prompt: "a red square" })).toEqual({ "Captioner prefill": 1, "Captioner step": 7 })
  })

  it("needs room behind a prompt", async () => {
    const prompt = "a red square"
    const greedy = { method: "greedy", max_length: 4 }
    await expect(caption(images.slice(0, 2), greedy, 7, { prompt })).rejects.toThrow(
      /a prompt of \d+ tokens, \[DEC\] included, leaves no room in max_length 4/
    )
  })
})
