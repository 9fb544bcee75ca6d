/** The micro pipelines run whole: counts add up, a second run does no work, a killed run continues to the same bytes. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { artifactsOf, bootlace, emptyFolder, root, runJson } from "../bootlace.ts"

const folder = join(root, "pipelines/micro")
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"))

describe.each(files)("pipelines/micro/%s", (file) => {
  const pipeline = join(folder, file)

  it("runs, and the second run does no work", async () => {
    const store = emptyFolder()
    const first = await runJson([pipeline, "--store", store])
    expect(first.status).toBe("done")
    const computed = new Set(Object.values(first.nodes).flatMap(({ cached, artifact }) => (cached ? [] : [artifact])))
    for (const node of Object.values(first.nodes)) {
      expect(node.artifact).toMatch(/^[0-9a-f]{64}$/)
      // Two nodes that say the same are computed once: the other finds its artifact.
      expect(computed).toContain(node.artifact)
    }
    const again = await runJson([pipeline, "--store", store])
    expect(Object.values(again.nodes).every(({ cached }) => cached)).toBe(true)
    expect(artifactsOf(again)).toEqual(artifactsOf(first))
    expect(again.metrics).toEqual(first.metrics)
  })

  it("killed at three moments and run again, gives the bytes of an undisturbed run", async () => {
    const undisturbed = await runJson([pipeline, "--store", emptyFolder()])
    const store = emptyFolder()
    for (const share of [0.3, 0.5, 0.8])
      await bootlace(["run", pipeline, "--store", store], { killAfter_ms: share * undisturbed.seconds * 1000 + 400 })
    const resumed = await runJson([pipeline, "--store", store])
    expect(artifactsOf(resumed)).toEqual(artifactsOf(undisturbed))
  })
})
