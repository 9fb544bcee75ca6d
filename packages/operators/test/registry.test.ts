import { expect, it } from "vitest"
import * as everything from "../src/index.ts"

it("has every operator of the package under its name", () => {
  const { operators, ...exported } = everything
  const named = Object.values(exported).filter(
    (each): each is typeof everything.Select => typeof each === "object" && "kind" in each && "version" in each
  )
  expect(named.map(({ name }) => name).toSorted()).toEqual(Object.keys(operators).toSorted())
  for (const [name, operator] of Object.entries(operators)) expect(operator.name).toBe(name)
})
