/** Rows of a twin that follows its weights, against eager, which lets the whole table follow. */
import { describe, expect, it } from "vitest"
import { makeEagerExecutor, makeOnnxExecutor } from "../src/index.ts"
import { distance } from "./CompareExecutors.ts"
import { D, tiedGradients, tiedGraph } from "./TiedWords.ts"

describe("rows of a table that is computed", () => {
  it("are eager's", async () => {
    const actual = await tiedGradients(makeOnnxExecutor({ threads: 2 }) as never)
    expect(distance(actual.outputs, (await tiedGradients(makeEagerExecutor() as never)).outputs)).toBeLessThan(1e-6)
  })

  it("are picked before they are computed", () => {
    const ofTwin = tiedGraph().values.filter(({ inputs }) =>
      inputs.some((input) => input.attributes.name === "t:words")
    )
    expect(ofTwin.map(({ op, shape }) => [op, shape])).toEqual([["Gather", [15, D]]])
  })
})
