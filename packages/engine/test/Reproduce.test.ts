import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"

const script = fileURLToPath(new URL("./Reproduce.ts", import.meta.url))
const train = async (...settings: ReadonlyArray<number>): Promise<string> =>
  (await promisify(execFile)(process.execPath, [script, ...settings.map(String)])).stdout.trim()

describe("a training in a process of its own", () => {
  it.each([1, 2])("gives the same bytes after 50 steps in two processes at %i threads", async (threads) => {
    const [first, second] = await Promise.all([train(threads, 50), train(threads, 50)])
    expect(first).toMatch(/^[0-9a-f]{64}$/)
    expect(second).toBe(first)
  })

  it("can be left in the middle of a step without a crash", async () => {
    await expect(train(1, 2000, 3)).rejects.toMatchObject({ code: 7 })
  })
})
