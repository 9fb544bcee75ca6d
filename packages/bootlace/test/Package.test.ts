import { assert, describe, it } from "vitest"
import manifest from "../package.json" with { type: "json" }
import { version } from "../src/version.ts"

describe("package", () => {
  it("knows its version", () => assert.strictEqual(version, manifest.version))

  it("gives every room under its subpath", async () => {
    const rooms = {
      "bootlace/graph": "readPipeline",
      "bootlace/engine": "Engine",
      "bootlace/models": "modelFromConfig",
      "bootlace/data": "ArtifactStore",
      "bootlace/operators": "operators",
      "bootlace/runtime": "runPlan",
      bootlace: "defineConfig"
    }
    const subpaths = Object.keys(rooms).map((room) => room.replace("bootlace", "."))
    assert.sameMembers([...subpaths, "./package.json"], Object.keys(manifest.exports))
    for (const [room, name] of Object.entries(rooms)) {
      const loaded = (await import(room)) as Readonly<Record<string, unknown>>
      assert.isDefined(loaded[name], `${room} has no ${name}`)
    }
  })
})
