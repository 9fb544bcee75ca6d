/** The report of a run in a real browser: it draws, in light and dark, and asks the network for nothing. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { delimiter, join } from "node:path"
import { promisify } from "node:util"
import sharp from "sharp"
import { describe, expect, it } from "vitest"
import { emptyFolder, root, runJson } from "../bootlace.ts"

const names = ["chromium", "chromium-browser", "google-chrome"]
const browser = (process.env["PATH"] ?? "")
  .split(delimiter)
  .flatMap((folder) => names.map((name) => join(folder, name)))
  .find((path) => existsSync(path))

const chromium = (args: ReadonlyArray<string>) =>
  promisify(execFile)(browser!, ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", ...args], {
    maxBuffer: 64 * 1024 * 1024
  })

const luminance = async (png: string): Promise<{ readonly mean: number; readonly spread: number }> => {
  const { channels } = await sharp(png).greyscale().stats()
  return { mean: channels[0]!.mean, spread: channels[0]!.stdev }
}

describe.skipIf(browser === undefined)("the report in Chromium", () => {
  it("shows graph, curves and galleries", async () => {
    const store = emptyFolder()
    const { run } = await runJson([join(root, "pipelines/micro/capfilt.yaml"), "--store", store])
    const report = join(store, "runs", run, "report.html")
    const html = await readFile(report, "utf8")
    expect(html).toContain("default-src 'none'")
    expect(html).not.toMatch(/(?:src|href)="https?:\/\/(?!creativecommons)/)

    const { stdout: dom } = await chromium(["--dump-dom", `file://${report}`])
    for (const heading of ["Pipeline", "Training", "Examples", "Nodes"]) expect(dom).toContain(`>${heading}</h2>`)
    expect(dom.match(/<svg/g)!.length).toBeGreaterThanOrEqual(2)

    const pictures = emptyFolder()
    const shot = async (scheme: string, flags: ReadonlyArray<string>) => {
      const png = join(pictures, `${scheme}.png`)
      await chromium([...flags, "--window-size=1100,2400", `--screenshot=${png}`, `file://${report}`])
      return luminance(png)
    }
    const light = await shot("light", [])
    const dark = await shot("dark", ["--blink-settings=preferredColorScheme=0"])
    for (const { spread } of [light, dark]) expect(spread).toBeGreaterThan(8)
    expect(light.mean).toBeGreaterThan(180)
    expect(dark.mean).toBeLessThan(90)
  })
})
