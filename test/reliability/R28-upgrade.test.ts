/**
 * R28: stores that earlier formats left behind, one folder a release in stores/. Today's runtime finds every artifact, does nothing
 * again and ends with the digests that were recorded then. A manifest that it does not understand is made again with a warning,
 * never half read.
 *
 * A change of keys or files that breaks this test needs a new folder beside the old one, and a way to read the old.
 */
import { Effect, Logger } from "effect"
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { digests, run } from "../../packages/runtime/test/pipelines.ts"
import { emptyFolder } from "../bootlace.ts"
import { figure } from "./torture.ts"

const stores = join(import.meta.dirname, "stores")
const releases = readdirSync(stores)

const quietly = (store: string, yaml: string) => Effect.runPromise(Effect.provide(run(store, yaml), Logger.layer([])))

const opened = (release: string) => {
  const kept = join(stores, release)
  const store = join(emptyFolder(), "store")
  cpSync(join(kept, "store"), store, { recursive: true })
  return {
    store,
    yaml: readFileSync(join(kept, "pipeline.yaml"), "utf8"),
    expected: JSON.parse(readFileSync(join(kept, "digests.json"), "utf8")) as Readonly<Record<string, string>>
  }
}

describe("stores of earlier releases", () => {
  it("R28: are read as they are", async () => {
    assert.isAtLeast(releases.length, 1)
    let artifacts = 0
    for (const release of releases) {
      const { store, yaml, expected } = opened(release)
      artifacts += readdirSync(join(store, "artifacts")).length
      const record = await quietly(store, yaml)
      assert.deepStrictEqual(digests(record), expected, release)
      const again = Object.entries(record.nodes).filter(([, { cached }]) => !cached)
      assert.deepStrictEqual(again, [], release)
    }
    figure("R28", `${artifacts} artifacts of ${releases.join(", ")} read with the digests of then; nothing made again`)
  })

  it("R28: are made again where a manifest is of an unknown form", async () => {
    const { store, yaml, expected } = opened(releases.at(-1)!)
    for (const key of readdirSync(join(store, "artifacts"))) {
      const manifest = join(store, "artifacts", key, "manifest.jsonl")
      writeFileSync(manifest, `{"format":2}\n${readFileSync(manifest, "utf8")}`)
    }
    const record = await quietly(store, yaml)
    assert.deepStrictEqual(digests(record), expected)
    assert.isFalse(record.nodes["learn"]!.cached)
  })
})
