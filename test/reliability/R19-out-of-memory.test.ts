/**
 * R19: the heap of 256 MiB is full in the middle of a run. V8 ends the process there and then, so nothing can name the node; but
 * what was committed is whole, and the same run with room goes on from it to the same bytes.
 *
 * Memory of the compiled engine is not V8's: it fails as R504, which names the node and says to lower batch_size.
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { digests, everything, run } from "../../packages/runtime/test/pipelines.ts"
import { emptyFolder } from "../bootlace.ts"
import { figure } from "./torture.ts"

const heap_mib = 256

const died = (store: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const args = [`--max-old-space-size=${heap_mib}`, join(import.meta.dirname, "hungry.ts"), store]
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] })
    let said = ""
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
    child.on("error", reject)
    child.on("close", (code, signal) => resolve(`${signal ?? code}\n${said}`))
  })

describe("a heap that is full", () => {
  it("R19: costs the work since the last commit and nothing else", async () => {
    const expected = digests(await Effect.runPromise(run(join(emptyFolder(), "store"), everything)))
    const store = join(emptyFolder(), "store")
    const end = await died(store)
    assert.match(end, /^(SIGABRT|134)\n/)
    assert.include(end, "JavaScript heap out of memory")
    const record = await Effect.runPromise(run(store, everything))
    assert.deepStrictEqual(digests(record), expected)
    const kept = Object.values(record.nodes).filter(({ cached }) => cached).length
    assert.isAtLeast(kept, 1)
    figure(
      "R19",
      `dead of a heap of ${heap_mib} MiB; resumed to the same bytes with ${kept} of ${Object.keys(record.nodes).length} nodes kept`
    )
  })
})
