import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "../bootlace.ts"

const bench = (command: string) => {
  const args = [join(root, "bench/run.ts"), ...command.split(" ")]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" })
  return { status, lines: stdout.trimEnd().split("\n"), stderr }
}

describe("npm run bench", () => {
  it("prints a line for each case, with nulls where there is no peer", () => {
    const cases = "clip-tiny clip-tiny-real-lengths clip-tiny-4096"
    const { status, lines } = bench(`train ${cases} --nano --json --repeats 1 --steps 1 --peers none`)
    expect(status).toBe(0)
    const found = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(found.map((line) => line["case"])).toEqual(cases.split(" "))
    for (const line of found) {
      expect(line).toEqual({
        case: expect.any(String),
        ours_s: expect.any(Number),
        peer_s: null,
        ratio: null,
        spread: 0,
        ours_mb: expect.any(Number),
        peer_mb: null,
        runs: 1,
        peer: null
      })
      expect(line["ours_s"]).toBeGreaterThan(0)
      expect(line["ours_mb"]).toBeGreaterThan(50)
    }
  }, 120_000)

  it("skips a peer that isn't installed and says how it could be", () => {
    const { status, lines, stderr } = bench(`train clip-tiny --nano --json --repeats 1 --python ${process.execPath}`)
    expect(status).toBe(0)
    expect(JSON.parse(lines[0]!)).toMatchObject({ case: "clip-tiny", peer: null, ratio: null })
    expect(stderr).toContain("clip-tiny: peer eager skipped")
    expect(stderr).toContain("pip install -r bench/peers/requirements.txt")
  }, 120_000)

  it("names the cases there are", () => {
    const { status, stderr } = bench("infer caption")
    expect(status).toBe(2)
    expect(stderr).toContain("no case caption of infer; there are caption-greedy-8, ")
    expect(bench("trian").stderr).toContain("expected train, infer, data, all; got trian")
  }, 60_000)
})
