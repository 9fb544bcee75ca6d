/**
 * R26: what must not change a single byte: rows per record batch, groups and shards at work at once, the order of keys in the
 * YAML, locale, time zone, working folder, and where the pipeline lies. Threads and engine are part of the key instead: another
 * count gives other artifacts, not other bytes under the same name.
 */
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { knobs, resetKnobs } from "../../packages/runtime/test/operators.ts"
import { everything } from "../../packages/runtime/test/pipelines.ts"
import { artifactsOf, emptyFolder, root, runJson } from "../bootlace.ts"
import { artifactFiles, simulate } from "./simulated.ts"
import { chances, figure, patience } from "./torture.ts"

afterEach(resetKnobs)

/** Keys inside braces and whole node lines in another order; the blocks of a training stay together. */
const shuffled = (yaml: string, chance: () => number): string => {
  const mix = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> =>
    items
      .map((item) => [chance(), item] as const)
      .toSorted(([a], [b]) => a - b)
      .map(([, item]) => item)
  const [head, body] = yaml.split("nodes:\n") as [string, string]
  const nodes = body.split(/\n(?= {2}\S)/).map((node) => {
    const lines = node.trimEnd().split("\n")
    if (lines.length > 1) return [lines[0]!, ...mix(lines.slice(1))].join("\n")
    const [, id, inner] = /^(.*?\{ )(.*) \}$/.exec(lines[0]!)!
    return `${id}${mix(inner!.split(/, (?![^{[]*[}\]])/)).join(", ")} }`
  })
  const top = head.trim().split("\n")
  return `nodes:\n${mix(nodes).join("\n")}\n${mix(top).join("\n")}\n`
}

const bytesOf = async (yaml: string, options = {}): Promise<Readonly<Record<string, string>>> => {
  const disk = makeMemoryDisk()
  const { record, error } = await simulate(disk.files, yaml, options)
  assert.isDefined(record, `${error}\n${yaml}`)
  return artifactFiles(disk.files)
}

describe("the same bytes", () => {
  it(
    "R26: for batch sizes, workers and the order of keys in the YAML",
    async () => {
      const expected = await bytesOf(everything)
      const chance = chances("R26")
      const ways = [1, 2, 3, 5, 8, 1000].map((rows, i) => ({
        rows,
        in_flight: 1 + ((i * 3) % 8),
        shards_at_once: 1 + (i % 4)
      }))
      for (const { rows, ...options } of ways) {
        knobs.batch = () => rows
        assert.deepStrictEqual(await bytesOf(everything, options), expected, `${rows} ${JSON.stringify(options)}`)
      }
      knobs.batch = () => 1 + Math.floor(chance() * 20)
      assert.deepStrictEqual(await bytesOf(everything), expected, "random batches")
      const orders = 5
      for (let n = 0; n < orders; n++) {
        const yaml = shuffled(everything, chance)
        assert.notStrictEqual(yaml, everything)
        assert.deepStrictEqual(await bytesOf(yaml), expected, yaml)
      }
      figure("R26", `${ways.length + 1} batchings and worker counts, ${orders} orders of YAML keys: 0 bytes differ`)
    },
    patience(60_000)
  )

  it(
    "R26: for locale, time zone, working folder and machine path",
    async () => {
      const pipeline = join(root, "pipelines/micro/clip.yaml")
      const run = (file: string, options = {}) => runJson([file, "--store", emptyFolder(), "--threads", "1"], options)
      const expected = artifactsOf(await run(pipeline))
      const elsewhere = join(emptyFolder(), "a folder with spaces, ünïcode")
      cpSync(join(root, "pipelines/micro"), elsewhere, { recursive: true })
      const copy = join(elsewhere, "clip.yaml")
      writeFileSync(copy, readFileSync(copy, "utf8").replace("name: micro-clip", "name: somewhere-else"))
      const ways = {
        locale: run(pipeline, { env: { LC_ALL: "tr_TR.UTF-8", LANG: "tr_TR.UTF-8", TZ: "Asia/Kathmandu" } }),
        cwd: run(pipeline, { cwd: emptyFolder() }),
        path: run(copy, { cwd: elsewhere })
      }
      for (const [way, made] of Object.entries(ways)) assert.deepStrictEqual(artifactsOf(await made), expected, way)
      figure(
        "R26",
        `Turkish locale with Kathmandu's time, another working folder, another machine path: 0 bytes differ`
      )
    },
    patience(120_000)
  )
})
