/** What people get wrong: each mistake is one clear error before any work, or one row put aside with its reason. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { bootlace, emptyFolder, root, runJson } from "../bootlace.ts"

const shapes = join(root, "pipelines/micro/shapes/human")

/** A folder with the shapes and a pipeline that embeds them. */
const project = (nodes: string): { readonly folder: string; readonly pipeline: string } => {
  const folder = emptyFolder()
  cpSync(shapes, join(folder, "pairs"), { recursive: true })
  const pipeline = join(folder, "mine.yaml")
  writeFileSync(
    pipeline,
    `version: 1
name: mine
seed: 1
params:
  size: { type: int, default: 16 }
models:
  clip: { architecture: clip, preset: nano, vocabulary: vocabulary }
nodes:
  pairs: { op: ReadPairs, path: pairs }
  vocabulary: { op: BuildVocabulary, in: { text: pairs.text } }
${nodes}
`
  )
  return { folder, pipeline }
}

const embed = `  image: { op: ImageEncoder, model: clip, in: { image: pairs.image } }
  text: { op: TextEncoder, model: clip, in: { text: pairs.text } }
  recall: { op: RetrievalRecall, in: { image_embeds: image.image_embeds, text_embeds: text.text_embeds } }`

describe("a mistake in the pipeline ends with exit 2 before any work", () => {
  it.each([
    ["a wrong wire", embed.replace("pairs.image", "pairs.text"), /error\[V\d+\].*mine\.yaml:11:/],
    ["an unknown column", embed.replace("pairs.image", "pairs.imgae"), /did you mean pairs\.image/],
    ["an unknown operator", embed.replace("ImageEncoder", "ImageEncodr"), /did you mean ImageEncoder/],
    ["an unknown config key", embed.replace("op: ImageEncoder,", "op: ImageEncoder, normalise: true,"), /normalize/],
    ["a duplicate key", `${embed}\n  text: { op: TextEncoder, model: clip, in: { text: pairs.text } }`, /text/],
    ["an unknown param", embed.replace("model: clip,", 'model: clip, batch_size: "${siez}",'), /size/]
  ])("%s", async (_, nodes, expected) => {
    const { folder, pipeline } = project(nodes)
    const store = join(folder, "store")
    const finished = await bootlace(["run", pipeline, "--store", store])
    expect(finished.stderr).toMatch(expected)
    expect(finished.status).toBe(2)
    expect(finished.stdout).toBe("")
  })

  it("a missing path", async () => {
    const { folder, pipeline } = project(embed)
    writeFileSync(pipeline, readFileSync(pipeline, "utf8").replace("path: pairs", "path: paris"))
    const finished = await bootlace(["run", pipeline, "--store", join(folder, "store")])
    expect(finished.stderr).toContain("paris")
    expect(finished.status).toBe(2)
  })

  it("a parameter that isn't declared, from --set", async () => {
    const { folder, pipeline } = project(embed)
    const finished = await bootlace(["run", pipeline, "--store", join(folder, "store"), "--set", "sizee=3"])
    expect(finished.stderr).toContain("size")
    expect(finished.status).toBe(2)
  })
})

describe("a bad row is put aside with its reason and the run goes on", () => {
  const withRow = (change: (folder: string, lines: Array<string>) => void) => {
    const made = project(embed)
    const directory = join(made.folder, "pairs")
    const metadata = join(directory, "metadata.jsonl")
    const lines = readFileSync(metadata, "utf8").trim().split("\n")
    mkdirSync(directory, { recursive: true })
    change(directory, lines)
    writeFileSync(metadata, `${lines.join("\n")}\n`)
    return made
  }

  it.each<[string, (folder: string, lines: Array<string>) => void, number]>([
    ["a corrupt image", (folder) => writeFileSync(join(folder, "003.png"), "not a picture"), 1],
    [
      "a picture cut short",
      (folder) => writeFileSync(join(folder, "003.png"), readFileSync(join(folder, "003.png")).subarray(0, 120)),
      1
    ],
    ["an empty caption", (_, lines) => (lines[3] = JSON.stringify({ file_name: "003.png", text: "" })), 1],
    [
      "a missing image",
      (_, lines) => (lines[3] = JSON.stringify({ file_name: "nowhere.png", text: "a red circle" })),
      1
    ],
    [
      "a caption of 10,000 characters",
      (_, lines) => (lines[3] = JSON.stringify({ file_name: "003.png", text: "red ".repeat(2500) })),
      0
    ]
  ])("%s", async (_, change, rejected) => {
    const { folder, pipeline } = withRow(change)
    const run = await runJson([pipeline, "--store", join(folder, "store")])
    expect(run.status).toBe("done")
    expect(run.nodes.pairs).toMatchObject({ rows_out: 24 - rejected, rejected })
    expect(run.nodes.recall!.rows_in).toBe(24 - rejected)
  })
})
