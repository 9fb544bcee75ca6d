/** Mistaken and hostile files: each `cases/*.yaml` fails with exactly the text of the `.txt` beside it. Adding a case is adding a file. */
import { Effect, Result } from "effect"
import fc from "fast-check"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { type Plan, readPipeline } from "../src/index.ts"
import { operators as registry } from "./operators.ts"

const folder = join(import.meta.dirname, "cases")
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"))

const read = (text: string, file = "case.yaml", set: Readonly<Record<string, string>> = {}) =>
  Effect.runSync(Effect.result(readPipeline(text, { file, registry, set })))

const planned = (text: string, set?: Readonly<Record<string, string>>): Plan => {
  const result = read(text, "case.yaml", set)
  if (Result.isFailure(result)) throw result.failure
  return result.success
}
const failure = (text: string, set?: Readonly<Record<string, string>>): string => {
  const result = read(text, "case.yaml", set)
  return Result.isFailure(result) ? result.failure.message : "no error"
}

describe("mistaken and hostile files", () => {
  it("are at least forty", () => expect(files.length).toBeGreaterThan(40))

  it.each(files)("%s", async (name) => {
    const result = read(readFileSync(join(folder, name), "utf8"), name)
    expect(Result.isFailure(result)).toBe(true)
    if (Result.isSuccess(result)) return
    await expect(`${result.failure.message}\n`).toMatchFileSnapshot(join(folder, name.replace(/yaml$/, "txt")))
  })
})

const H = "version: 1\nname: case\n"
const web = "web: { op: ReadPairs, path: data/web }"
const blip = "models: { blip: { architecture: blip, preset: micro } }\n"
const ids = (plan: Plan): ReadonlyArray<string> => plan.nodes.map(({ id }) => id)

describe("good files", () => {
  it("a byte order mark and CR LF change nothing", () => {
    const text = `${H}nodes:\n  ${web}\n`
    expect(planned(`\uFEFF${text.replaceAll("\n", "\r\n")}`).hash).toBe(planned(text).hash)
  })

  it("checks 50 nodes in no time", () => {
    const nodes = Array.from({ length: 24 }, (_, i) => [
      `  image${i}: { op: ImageEncoder, model: blip, in: { image: web.image } }`,
      `  itm${i}: { op: ITM, model: blip, in: { image_tokens: image${i}.image_tokens, text: web.text } }`
    ])
    const text = `${H}${blip}nodes:\n  ${web}\n${nodes.flat().join("\n")}\n`
    expect(planned(text).nodes).toHaveLength(50)
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now()
      planned(text)
      return performance.now() - start
    })
    // 50 ms are promised; ten times that, because tests share the machine.
    expect(Math.min(...times)).toBeLessThan(500)
  })
})

describe("params", () => {
  const text = `${H}params: { size: { type: int, default: 100 }, where: { type: string, default: web } }
nodes:
  web: { op: ReadPairs, path: "data/\${where}/$\${where}" }
  vocabulary: { op: BuildVocabulary, in: { text: [web.text] }, size: \${size} }
`
  it("keep their type as a whole value and are spelled out in a text", () => {
    const plan = planned(text)
    expect(plan.nodes.map(({ config }) => config)).toMatchObject([{ path: "data/web/${where}" }, { size: 100 }])
  })

  it("take values from --set by their type", () => {
    const plan = planned(text, { size: "200", where: "17" })
    expect(plan.nodes.map(({ config }) => config)).toMatchObject([{ path: "data/17/${where}" }, { size: 200 }])
    expect(plan.hash).not.toBe(planned(text).hash)
  })

  it("say what is wrong with --set", () => {
    expect(failure(text, { size: "many", wher: "x" })).toMatchInlineSnapshot(`
      "error[V109] unknown param in --set wher=x  command line
          | declared: size, where
      hint: did you mean where?

      error[V109] wrong value in --set size=many  case.yaml:3:11
        3 | params: { size: { type: int, default: 100 }, where: { type: string, default: web } }
          |           ^^^^ expected a whole number, got "many""
    `)
  })
})

describe("matrix", () => {
  const text = `${H}seed: 9
${blip}matrix:
  seed: [1, 2]
  data: { web: [web], clean: [web, clean.kept] }
nodes:
  ${web}
  clean: { op: Filter, in: { image: web.image, text: web.text }, keep: {} }
  train: { op: Train, init: blip, in: { pairs: \${data} }, objectives: [itc], steps: 3 }
  image: { op: ImageEncoder, model: train, in: { image: web.image } }
  text: { op: TextEncoder, model: train, in: { text: web.text } }
  recall: { op: RetrievalRecall, in: { image_embeds: image.image_embeds, text_embeds: text.text_embeds } }
`
  it("spreads the nodes that depend on an axis, and only those", () => {
    const plan = planned(text)
    const of = (base: string) => ids(plan).filter((id) => id.startsWith(base))
    expect(of("web")).toEqual(["web"])
    expect(of("clean")).toEqual(["clean"])
    expect(of("blip")).toEqual(["blip[seed=1]", "blip[seed=2]"])
    expect(of("recall")).toEqual([
      "recall[seed=1,data=clean]",
      "recall[seed=1,data=web]",
      "recall[seed=2,data=clean]",
      "recall[seed=2,data=web]"
    ])
  })

  it("gives each variant its seed, its axes and the wires of its own variant", () => {
    const train = planned(text).nodes.find(({ id }) => id === "train[seed=2,data=clean]")!
    expect(train.seed).toBe(2)
    expect(train.axes).toEqual({ seed: "2", data: "clean" })
    expect(train.inputs["init"]).toMatchObject([{ node: "blip[seed=2]" }])
    expect(train.inputs["pairs"]!.map(({ node }) => node)).toEqual(["web", "clean"])
    expect(planned(text).nodes.find(({ id }) => id === "web")!.seed).toBe(9)
  })

  it("keeps the variants that --set names", () => {
    expect(ids(planned(text, { data: "web", seed: "2" })).filter((id) => id.startsWith("train"))).toEqual([
      "train[seed=2,data=web]"
    ])
    expect(failure(text, { data: "wbe" })).toContain("axis data has: web, clean")
  })

  it("takes a seed from outside over the file's, and leaves the axis", () => {
    const plan = Effect.runSync(readPipeline(text, { file: "case.yaml", registry, seed: 4 }))
    expect(plan.seed).toBe(4)
    expect(plan.nodes.find(({ id }) => id === "web")!.seed).toBe(4)
    expect(plan.nodes.find(({ id }) => id === "train[seed=2,data=clean]")!.seed).toBe(2)
    expect(plan.hash).toBe(planned(text.replace("seed: 9", "seed: 4")).hash)
  })

  it("lets a node name a variant by its id", () => {
    const more = `${text}  mine: { op: ImageEncoder, model: "train[seed=1,data=web]", in: { image: web.image } }\n`
    const mine = planned(more).nodes.find(({ id }) => id === "mine")!
    expect(mine.inputs["model"]).toMatchObject([{ node: "train[seed=1,data=web]" }])
  })
})

describe("any text", () => {
  const seeds = files.map((name) => readFileSync(join(folder, name), "utf8"))
  const cut = fc.tuple(
    fc.nat(),
    fc.nat(40),
    fc.constantFrom("", "{", "}", "[", "]", ": ", "- ", "\n", "${", '"', "&a ", "web.", "#", "é", "  ")
  )

  it("gives a plan or diagnostics, never a crash, and every place is in the text", () => {
    fc.assert(
      fc.property(fc.constantFrom(...seeds), fc.array(cut, { minLength: 1, maxLength: 4 }), (seed, cuts) => {
        const text = cuts.reduce((now, [at, length, put]) => {
          const from = at % (now.length + 1)
          return now.slice(0, from) + put + now.slice(from + length)
        }, seed)
        const result = read(text)
        if (Result.isSuccess(result)) return
        const lines = text.split("\n")
        expect(result.failure.diagnostics.length).toBeGreaterThan(0)
        for (const { line, col, code, message } of result.failure.diagnostics) {
          expect([code, message]).toEqual([expect.stringMatching(/^V\d{3}$/), expect.stringMatching(/./)])
          if (line === undefined) continue
          expect(line).toBeLessThanOrEqual(lines.length)
          expect(col).toBeLessThanOrEqual(lines[line - 1]!.length + 1)
        }
      }),
      { numRuns: 400 }
    )
  })
})
