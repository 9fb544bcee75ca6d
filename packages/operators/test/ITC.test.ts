import { floatsOf, tensorColumn } from "@bootlace/data"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { ITC } from "../src/ITC.ts"
import { operatorContract } from "./contract.ts"
import { contextOf, rowsOf, runIn } from "./inMemory.ts"
import { eager } from "./tinyPairs.ts"

const columns = {
  image_embeds: tensorColumn(Float32Array.of(3, 4, 1, 0, 0, 2, 0, 0), [2]),
  text_embeds: tensorColumn(Float32Array.of(4, 3, 0, 1, 0, -1, 1, 1), [2])
}

operatorContract(ITC, {
  config: { batch_size: 2 },
  layer: eager,
  columns,
  badConfigs: [
    { config: { momentum: 2 }, names: /momentum/ },
    { config: { alpha: -0.1 }, names: /alpha/ },
    { config: { queue_size: 1.5 }, names: /queue_size/ },
    { config: { same_image: "ignored" }, names: /same_image/ }
  ]
})

describe("ITC", () => {
  it("gives the cosine of each pair, 0 for a zero vector", async () => {
    const scores = await runIn(
      { layer: eager },
      Effect.gen(function* () {
        const body = yield* ITC.body.open((yield* contextOf(ITC, {})) as never)
        return floatsOf((yield* body(rowsOf(columns))).columns["itc_score"]!)
      })
    )
    expect([...scores]).toEqual([expect.closeTo(0.96, 6), 0, expect.closeTo(-1, 6), 0])
  })
})
