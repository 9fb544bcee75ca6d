/** `--engine webgpu` on SwiftShader, the processor in place of a GPU, which Debian's Chromium brings. Skipped where there is none. */
import { execFile } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { emptyFolder, root } from "../bootlace.ts"

const folder = ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome"].find((path) =>
  existsSync(join(path, "vk_swiftshader_icd.json"))
)

/** Whole trainings take minutes there: `npm run test:webgpu`. */
const suites = ["AdamW.test.ts", "HeldTensors.test.ts", "webgpu/WebgpuExecutor.engine.ts"]

interface Report {
  readonly numPassedTests: number
  readonly numTotalTests: number
}

describe.skipIf(folder === undefined)("WebGPU without a GPU", () => {
  it("passes the executor's tests, AdamW's against PyTorch and those of held tensors", async () => {
    const report = join(emptyFolder(), "report.json")
    await promisify(execFile)(
      process.execPath,
      [
        join(root, "node_modules/vitest/vitest.mjs"),
        "run",
        "--config",
        "vitest.engines.config.ts",
        "--mode",
        "webgpu",
        ...suites.map((suite) => join("packages/engine/test", suite)),
        "--reporter=json",
        `--outputFile=${report}`
      ],
      {
        cwd: root,
        env: {
          ...process.env,
          LD_LIBRARY_PATH: folder!,
          VK_ICD_FILENAMES: join(folder!, "vk_swiftshader_icd.json")
        }
      }
    )
    const { numPassedTests, numTotalTests } = JSON.parse(readFileSync(report, "utf8")) as Report
    expect(numPassedTests).toBe(numTotalTests)
    expect(numPassedTests).toBeGreaterThanOrEqual(10)
  }, 600_000)
})
