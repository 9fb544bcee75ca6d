import { execFile, spawn } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { open } from "../src/index.ts"
import { afterAll, assert, describe, it } from "vitest"

const root = join(import.meta.dirname, "..", "..", "..")
const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
const shapes = join(root, "pipelines", "micro", "shapes", "human")
const folder = mkdtempSync(join(tmpdir(), "bootlace-cli-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const start = (args: ReadonlyArray<string>, nodeArgs: ReadonlyArray<string> = []) => {
  const child = spawn(process.execPath, [...nodeArgs, bin, ...args], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1" }
  })
  let out = ""
  let err = ""
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()))
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, out, err })))
  const said = (text: string) =>
    new Promise<void>((resolve) => child.stderr.on("data", () => (err.includes(text) ? resolve() : undefined)))
  return { child, ended, said }
}
const bootlace = (...args: ReadonlyArray<string>): Promise<Ended> => start(args).ended

const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return name
}

const pipeline = (path: string, more = "", steps = 4) => `version: 1
name: cli
seed: 1
models:
  clip: { architecture: clip, preset: nano, vocabulary: vocabulary }
nodes:
  pairs: { op: ReadPairs, path: ${path}${more} }
  vocabulary: { op: BuildVocabulary, in: { text: pairs.text } }
  train: { op: Train, init: clip, in: { pairs: pairs.pairs }, objectives: [itc], batch_size: 8, steps: ${steps} }
  image: { op: ImageEncoder, model: train.model, in: { image: pairs.image } }
  text: { op: TextEncoder, model: train.model, in: { text: pairs.text } }
  recall: { op: RetrievalRecall, in: { image_embeds: image.image_embeds, text_embeds: text.text_embeds } }
`

describe("usage", () => {
  it("shows help on stdout and exits 0", async () => {
    const { code, out, err } = await bootlace("--help")
    assert.strictEqual(code, 0)
    assert.strictEqual(err, "")
    for (const command of ["init", "check", "plan", "run", "report", "store", "ops", "schema", "engine", "caption"])
      assert.match(out, new RegExp(`^  ${command} `, "m"))
  })

  it("prints the help that the definition of its commands gives", async () => {
    const entry = join(root, "packages", "bootlace", "src", "Process.ts")
    const { stdout } = await promisify(execFile)(process.execPath, [entry, "--help"])
    for (const flag of ["--help", "-h"]) assert.strictEqual((await bootlace(flag)).out, stdout)
  })

  it("exits 2 on a wrong flag, says which was meant, and prints nothing on stdout", async () => {
    const { code, out, err } = await bootlace("run", "x.yaml", "--sed", "3")
    assert.deepStrictEqual([code, out], [2, ""])
    assert.include(err, "Unrecognized flag: --sed")
    assert.include(err, "--seed")
    assert.include(err, "hint: bootlace run --help")
  })

  it("exits 2 on numbers out of range", async () => {
    const { code, err } = await bootlace("run", "x.yaml", "--threads", "0")
    assert.strictEqual(code, 2)
    assert.include(err, "expected a whole number from 1 on, got 0")
  })

  it("exits 2 where a file is missing or --set is no assignment", async () => {
    write("there.yaml", "")
    const [missing, set] = await Promise.all([
      bootlace("run", "nope.yaml"),
      bootlace("check", "there.yaml", "--set", "a")
    ])
    assert.strictEqual(missing.code, 2)
    assert.include(missing.err, "nope.yaml not found")
    assert.include(missing.err, "there.yaml")
    assert.strictEqual(set.code, 2)
    assert.include(set.err, "expected name=value")
  })

  it("creates no store only to look into it", async () => {
    const ended = await Promise.all([
      bootlace("store", "list", "--store", "nowhere"),
      bootlace("report", "latest", "--store", "nowhere"),
      bootlace("caption", "a.png", "--model", "latest", "--store", "nowhere")
    ])
    for (const { code, out, err } of ended) {
      assert.deepStrictEqual([code, out], [2, ""])
      assert.include(err, "no store in nowhere")
    }
    assert.isFalse(existsSync(join(folder, "nowhere")))
  })

  it("says in one message which Node is needed", async () => {
    const older = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.20.2"}})`
    const { code, out, err } = await start(["--help"], ["--import", older]).ended
    assert.deepStrictEqual([code, out], [2, ""])
    assert.match(err, /^bootlace needs Node 22\.19 or newer; this is Node 20\.20\.2\.\nhint: .*\n$/)
  })
})

describe("check", () => {
  it("shows a wrong wire with its place and exits 2 before any work", async () => {
    const file = write(
      "wrong.yaml",
      pipeline(shapes).replace("in: { image: pairs.image }", "in: { image: pairs.imgae }")
    )
    const { code, out, err } = await bootlace("run", file, "--store", "none")
    assert.deepStrictEqual([code, out], [2, ""])
    assert.include(err, "wrong.yaml:10:")
    assert.include(err, "did you mean pairs.image?")
    assert.isFalse(existsSync(join(folder, "none")))
  })
})

describe("init", () => {
  it("starts a project that checks, and never overwrites one", async () => {
    const first = await bootlace("init", "fresh")
    assert.strictEqual(first.code, 0)
    const checked = await bootlace("check", join("fresh", "pipeline.yaml"))
    assert.deepStrictEqual([checked.code, checked.err], [0, ""])
    const again = await bootlace("init", "fresh")
    assert.strictEqual(again.code, 2)
    assert.include(again.err, "is there already")
  })
})

describe("run", () => {
  it("prints one object with --json, and does nothing the second time", async () => {
    const file = write("clip.yaml", pipeline(shapes))
    const args = ["run", file, "--store", "s", "--json", "--threads", "1"]
    const first = await bootlace(...args)
    assert.strictEqual(first.code, 0, first.err)
    const made = JSON.parse(first.out) as Record<string, any>
    assert.deepStrictEqual(Object.keys(made), ["run", "status", "seconds", "nodes", "metrics"])
    assert.strictEqual(made["status"], "done")
    assert.deepStrictEqual(Object.keys(made["nodes"]["image"]), [
      "op",
      "rows_in",
      "rows_out",
      "rejected",
      "cached",
      "seconds",
      "artifact"
    ])
    const second = JSON.parse((await bootlace(...args)).out) as Record<string, any>
    assert.isTrue(Object.values(second["nodes"] as Record<string, any>).every((node) => node["cached"] === true))
    assert.deepStrictEqual(second["metrics"], made["metrics"])
    const artifacts = (run: Record<string, any>) =>
      Object.values(run["nodes"] as Record<string, any>).map((node) => node["artifact"] as string)
    assert.deepStrictEqual(artifacts(second), artifacts(made))
  })

  it("prints a table and, last, where the report is; plan says that all is cached", async () => {
    const { code, out, err } = await bootlace(
      "run",
      "clip.yaml",
      "--store",
      "s",
      "--threads",
      "1",
      "--events",
      "events.jsonl"
    )
    assert.strictEqual(code, 0, err)
    const lines = out.trimEnd().split("\n")
    assert.isTrue(lines.some((line) => /^recall +mean_recall +[\d.]+$/.test(line)))
    const path = /^report (.*report\.html)$/.exec(lines.at(-1)!)?.[1]
    assert.include(readFileSync(join(folder, path!), "utf8"), "<!doctype html>")
    assert.include(err, "recall: cached")
    const events = readFileSync(join(folder, "events.jsonl"), "utf8").trimEnd().split("\n")
    assert.strictEqual((JSON.parse(events[0]!) as { message: string }).message, "cached")
    const planned = await bootlace("plan", "clip.yaml", "--store", "s", "--threads", "1", "--json")
    const nodes = (JSON.parse(planned.out) as { nodes: ReadonlyArray<{ status: string }> }).nodes
    assert.isTrue(nodes.every((node) => node.status === "cached"))
  })

  it("runs only a node and what it reads, and finds a name that was meant", async () => {
    const part = await bootlace("plan", "clip.yaml", "--store", "s", "--threads", "1", "--only", "train", "--json")
    const { nodes } = JSON.parse(part.out) as { nodes: ReadonlyArray<{ node: string; status: string }> }
    assert.isTrue(nodes.every(({ status }) => status === "cached"))
    assert.include(
      nodes.map(({ node }) => node),
      "train"
    )
    assert.notInclude(
      nodes.map(({ node }) => node),
      "recall"
    )
    const wrong = await bootlace("run", "clip.yaml", "--store", "s", "--only", "trian")
    assert.strictEqual(wrong.code, 2)
    assert.include(wrong.err, "--only trian: the pipeline has no such node\nhint: did you mean train?")
  })

  it("tries what was trained, and lists the store", async () => {
    const image = join(shapes, "000.png")
    const labels = ["--labels", "a red circle, a blue square", "--json"]
    const [classes, listed] = await Promise.all([
      bootlace("classify", image, "--model", "latest:train", "--store", "s", ...labels),
      bootlace("store", "list", "--store", "s")
    ])
    const found = (JSON.parse(classes.out) as { classes: ReadonlyArray<{ label: string; score: number }> }).classes
    assert.sameMembers(
      found.map((each) => each.label),
      ["a red circle", "a blue square"]
    )
    assert.isAtLeast(found[0]!.score, found[1]!.score)
    assert.match(listed.out, /^\S+ +cli +done /m)
    const model = await open("latest", "train", { store: join(folder, "s") })
    try {
      assert.deepStrictEqual(await model.classify(readFileSync(image), ["a red circle", "a blue square"]), found)
      const { itc_score, match_probability } = await model.score(image, found[0]!.label)
      assert.approximately(itc_score, found[0]!.score, 1e-5)
      assert.isUndefined(match_probability)
    } finally {
      await model.close()
    }
  })

  it("exits 3 where more rows are rejected than allowed, and says why in the report", async () => {
    cpSync(shapes, join(folder, "broken"), { recursive: true })
    writeFileSync(join(folder, "broken", "000.png"), readFileSync(join(shapes, "000.png")).subarray(0, 60))
    const file = write("broken.yaml", pipeline("broken", ", on_bad_row: { action: reject, budget: 0 }"))
    const { code, out, err } = await bootlace("run", file, "--store", "b", "--threads", "1", "--report", "page.html")
    assert.strictEqual(code, 3, err)
    assert.include(err, "pairs: 1 of ")
    assert.include(out, "report page.html")
    assert.include(readFileSync(join(folder, "page.html"), "utf8"), "Rows that could not be used")
  })

  it("stops at SIGINT within two seconds, says how to resume, and goes on", async () => {
    const file = write("long.yaml", pipeline(shapes, "", 100_000))
    const run = start(["run", file, "--store", "l", "--threads", "1"])
    await run.said("train: started")
    const asked = performance.now()
    run.child.kill("SIGINT")
    const { code, err } = await run.ended
    assert.isBelow(performance.now() - asked, 2000)
    assert.strictEqual(code, 130)
    assert.include(err, "resume: npx bootlace run long.yaml --store l --threads 1")
    const again = start(["run", file, "--store", "l", "--threads", "1"])
    await again.said("train: started")
    again.child.kill("SIGTERM")
    const ended = await again.ended
    assert.strictEqual(ended.code, 143)
    assert.include(ended.err, "vocabulary: cached")
  })
})
