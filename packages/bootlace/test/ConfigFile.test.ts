import { Operator } from "@bootlace/graph"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { attributionOf, defineConfig, findConfig, loadConfig, registryWith } from "../src/ConfigFile.ts"

const Nothing = Operator.source({
  name: "Nothing",
  version: 1,
  description: "Yields no rows.",
  config: Schema.Struct({}),
  inputs: {},
  ports: { rows: { text: "text" } },
  body: { open: () => Effect.die("not run") }
})

let root = ""
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "bootlace-config-"))
  mkdirSync(join(root, "a", "b"), { recursive: true })
  mkdirSync(join(root, "bad"))
  mkdirSync(join(root, "empty"))
  writeFileSync(join(root, "bootlace.config.mjs"), `export default { attribution: { Nothing: "outer" } }`)
  writeFileSync(
    join(root, "a", "bootlace.config.ts"),
    `const name: string = "Own"\nexport default { operators: [{ name, kind: "source" }], attribution: { Own: "inner" } }`
  )
  writeFileSync(join(root, "bad", "bootlace.config.mjs"), `export default { operators: [{ nam: "x" }] }`)
  writeFileSync(join(root, "empty", "bootlace.config.mjs"), `export const config = {}`)
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe("ConfigFile", () => {
  it.effect("finds the nearest config above the pipeline", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* findConfig(join(root, "a", "b")), join(root, "a", "bootlace.config.ts"))
      assert.strictEqual(yield* findConfig(root), join(root, "bootlace.config.mjs"))
    })
  )

  it.effect("loads TypeScript and JavaScript, and nothing where it is refused", () =>
    Effect.gen(function* () {
      const own = yield* loadConfig(join(root, "a", "b"), false)
      assert.deepStrictEqual(
        own.operators?.map((operator) => operator.name),
        ["Own"]
      )
      assert.deepStrictEqual(yield* loadConfig(join(root, "a"), true), {})
    })
  )

  it.effect("says what is wrong with a config", () =>
    Effect.gen(function* () {
      const bad = yield* Effect.flip(loadConfig(join(root, "bad"), false))
      assert.include(bad.message, "operators[0] is no operator")
      assert.strictEqual(bad.exit, 2)
      const empty = yield* Effect.flip(loadConfig(join(root, "empty"), false))
      assert.include(empty.message, "has no default export")
    })
  )

  it.effect("adds the project's operators and protects the built-in names", () =>
    Effect.gen(function* () {
      const config = defineConfig({ operators: [Nothing] })
      assert.deepStrictEqual(Object.keys(yield* registryWith({}, config)), ["Nothing"])
      const taken = yield* Effect.flip(registryWith({ Nothing }, config))
      assert.include(taken.message, "Nothing")
    })
  )

  it("credits only what a pipeline uses, once", () => {
    const config = { attribution: { A: "Twemoji", B: "Twemoji", C: "Noto" } }
    assert.strictEqual(attributionOf(config, ["A", "B", "Other"]), "Twemoji")
    assert.isUndefined(attributionOf(config, ["Other"]))
  })
})
