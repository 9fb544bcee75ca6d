import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { findModel } from "../src/FindModel.ts"
import { open } from "../src/index.ts"
import type { TrainedModel } from "../src/index.ts"

const root = join(import.meta.dirname, "..", "..", "..")
const shapes = join(root, "pipelines", "micro", "shapes", "human")
const image = join(shapes, "000.png")
const folder = mkdtempSync(join(tmpdir(), "bootlace-open-"))
const store = join(folder, "store")

const pipeline = `version: 1
name: open
seed: 1
models:
  blip: { architecture: blip, preset: nano, vocabulary: vocabulary }
nodes:
  pairs: { op: ReadPairs, path: ${shapes} }
  vocabulary: { op: BuildVocabulary, in: { text: pairs.text } }
  train: { op: Train, init: blip, in: { pairs: pairs.pairs }, objectives: [itc, itm, lm], batch_size: 8, steps: 3 }
`

let model: TrainedModel
beforeAll(async () => {
  writeFileSync(join(folder, "open.yaml"), pipeline)
  const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
  execFileSync(process.execPath, [bin, "run", "open.yaml", "--store", store], { cwd: folder, stdio: "pipe" })
  model = await open("latest", "train", { store, threads: 1 })
})
afterAll(async () => {
  await model.close()
  rmSync(folder, { recursive: true, force: true })
})

const rejection = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "resolved",
    (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
  )

describe("open", () => {
  it("captions and scores an image, the same each time", async () => {
    const caption = await model.caption(image)
    assert.isAbove(caption.length, 0)
    assert.strictEqual(await model.caption(image), caption)
    const scored = await model.score(image, "a red circle")
    assert.isAtMost(Math.abs(scored.itc_score), 1 + 1e-6)
    assert.isAtLeast(scored.match_probability!, 0)
    assert.isAtMost(scored.match_probability!, 1)
  })

  it("opens a folder of model files as well, without a store", async () => {
    const artifacts = join(store, "artifacts")
    const key = readdirSync(artifacts).find((each) => existsSync(join(artifacts, each, "history.json")))!
    cpSync(join(artifacts, key), join(folder, "exported"), { recursive: true })
    const again = await open(join(folder, "exported"), undefined, { store: join(folder, "none"), threads: 1 })
    try {
      assert.strictEqual(await again.caption(image), await model.caption(image))
    } finally {
      await again.close()
    }
    assert.isFalse(existsSync(join(folder, "none")))
  })

  it("is exported as a folder of transformers, whole or not at all", () => {
    const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
    const to = join(folder, "huggingface")
    const exported = (...args: ReadonlyArray<string>) =>
      spawnSync(process.execPath, [bin, "export", "latest:train", "--to", to, "--store", store, ...args], {
        cwd: folder,
        encoding: "utf8"
      })
    const wrong = exported("--as", "CLIPModel")
    assert.strictEqual(wrong.status, 2)
    assert.include(wrong.stderr, "this model can't be written as CLIPModel")
    assert.isFalse(existsSync(to))
    const done = exported("--as", "BlipForImageTextRetrieval", "--dtype", "bfloat16", "--onnx")
    assert.strictEqual(done.status, 0, done.stderr)
    assert.include(done.stdout, "BlipForImageTextRetrieval, bfloat16")
    assert.deepStrictEqual(readdirSync(to).toSorted(), [
      "README.md",
      "config.json",
      "model.safetensors",
      "onnx",
      "preprocessor_config.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "vocab.txt"
    ])
    const card = readFileSync(join(to, "README.md"), "utf8")
    assert.include(card, "# open: train")
    assert.include(card, "npx bootlace run open.yaml --engine onnx --threads")
    assert.include(card, '"steps": 3')
    assert.notInclude(card, folder)
    assert.deepStrictEqual(readdirSync(join(to, "onnx")).toSorted(), [
      "decoder_model.onnx",
      "match_model.onnx",
      "text_model.onnx",
      "vision_model.onnx"
    ])
    const again = exported()
    assert.strictEqual(again.status, 2)
    assert.include(again.stderr, "is there already")
    assert.isEmpty(readdirSync(folder).filter((name) => name.endsWith(".partial")))
  })

  it("opens what was exported, and refuses what the class has no weights for", async () => {
    const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
    const to = join(folder, "captioner")
    execFileSync(process.execPath, [bin, "export", "latest:train", "--to", to, "--store", store], { cwd: folder })
    const captioner = await open(to, undefined, { threads: 1 })
    try {
      assert.strictEqual(await captioner.caption(image), await model.caption(image))
      assert.match(
        await rejection(captioner.score(image, "a red circle")),
        /this checkpoint can't score: it has no weight/
      )
    } finally {
      await captioner.close()
    }
  })

  it("hands the weights over once, and knows when they have changed since", async () => {
    for (const name of ["exported", "captioner"]) {
      const { artifact } = await Effect.runPromise(findModel("none", join(folder, name), undefined))
      const take = () => Effect.runPromise(artifact.read("model.safetensors"))
      const first = await take()
      assert.isTrue(Buffer.from(first).equals(await take()))
      const file = join(folder, name, "model.safetensors")
      const bytes = readFileSync(file)
      bytes[bytes.length - 4]! ^= 1
      writeFileSync(file, bytes)
      assert.match(await rejection(take()), /R401.* changed while it was used/)
    }
  })

  it("averages the cosines of several sentences about a label", async () => {
    const labels = ["circle", "square"]
    const [red, blue] = await Promise.all(
      ["a red {label}", "a blue {label}"].map((template) => model.classify(image, labels, [template]))
    )
    const both = await model.classify(image, labels, ["a red {label}", "a blue {label}"])
    for (const { label, score } of both) {
      const of = (found: typeof both) => found.find((each) => each.label === label)!.score
      assert.approximately(score, (of(red!) + of(blue!)) / 2, 1e-5)
    }
  })

  it("says what is missing", async () => {
    assert.include(await rejection(open("latest", "captioner", { store })), "its models are blip, train")
    assert.include(await rejection(open("zzz", "train", { store })), "no run zzz")
    assert.include(await rejection(model.caption(join(folder, "none.png"))), "none.png not readable")
    assert.include(await rejection(model.caption(new TextEncoder().encode("text"))), "not an image")
    assert.include(await rejection(model.score(image, " ")), "empty")
  })
})
