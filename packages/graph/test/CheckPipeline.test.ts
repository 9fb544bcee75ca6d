/** Random pipelines: the plan's hash is a matter of meaning, not of spelling. */
import { Effect } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type NodeSpec, type PipelineSpec, type Plan, printPipeline, readPipeline, specOf } from "../src/index.ts"
import { operators as registry } from "./operators.ts"

const read = (text: string): Plan => Effect.runSync(readPipeline(text, { file: "random.yaml", registry }))

interface Pair {
  readonly image: string
  readonly text: string
  /** Rows with columns image and text. */
  readonly stream: string
}

/** A pipeline grown node by node out of numbers: every choice is one of them. */
const grow = (choices: ReadonlyArray<number>, texts: ReadonlyArray<string>): PipelineSpec => {
  const nodes: Record<string, NodeSpec> = {
    web: { op: "ReadPairs", in: {}, config: { path: texts[0] ?? "web", columns: { class_name: "text" } } },
    blip: { op: "InitModel", in: {}, config: { architecture: "blip", preset: texts[1] ?? "micro" } }
  }
  const pairs: Array<Pair> = [{ image: "web.image", text: "web.text", stream: "web.pairs" }]
  const models = ["blip"]
  const of = <T>(list: ReadonlyArray<T>, choice: number): T => list[choice % list.length]!
  for (const [i, choice] of choices.entries()) {
    const id = `n${(choice * 7919) % 1000}_${i}`
    const pair = of(pairs, choice >> 3)
    const model = of(models, choice >> 5)
    const { image, text } = pair
    if (choice % 5 === 0) {
      nodes[id] = {
        op: "Filter",
        in: { image, text, model },
        config: { keep: { match_probability: { at_least: choice / 64 } } }
      }
      pairs.push({ image: `${id}.kept.image`, text: `${id}.kept.text`, stream: `${id}.kept` })
    } else if (choice % 5 === 1) {
      const config =
        choice % 2 === 0 ? { objectives: ["itc"], steps: choice + 1 } : { objectives: ["itc", "itm"], steps: 3 }
      nodes[id] = { op: "Train", in: { init: model, pairs: [pair.stream, of(pairs, choice >> 4).stream] }, config }
      models.push(`${id}.model`)
    } else if (choice % 5 === 2) {
      nodes[id] = {
        op: "Captioner",
        in: { image, model },
        config: choice % 2 === 0 ? {} : { decode: { method: "nucleus", top_p: 0.5 } }
      }
      pairs.push({ image: `${id}.image`, text: `${id}.caption`, stream: pair.stream })
    } else if (choice % 5 === 3) {
      nodes[id] = {
        op: "ImageEncoder",
        in: { image, model },
        config: choice % 2 === 0 ? { normalize: true } : {},
        persist: choice % 2 === 0
      }
    } else {
      nodes[id] = {
        op: "BuildVocabulary",
        in: { text: pairs.map((one) => one.text) },
        config: {},
        on_bad_row: { action: "stop", budget: 0 }
      }
    }
  }
  return { version: 1, name: "random", seed: 3, nodes }
}

const shuffled = <T>(value: T, next: () => number): T => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  const entries = Object.entries(value).map(([key, item]) => [next(), key, shuffled(item as unknown, next)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => a - b).map(([, key, item]) => [key, item])) as T
}

const spec = fc
  .tuple(
    fc.array(fc.nat(1000), { maxLength: 12 }),
    fc.array(fc.string({ unit: "grapheme", minLength: 1 }), { minLength: 2, maxLength: 2 })
  )
  .map(([choices, texts]) => grow(choices, texts))

describe("a plan's hash", () => {
  it("doesn't depend on the order of keys", () => {
    fc.assert(
      fc.property(spec, fc.infiniteStream(fc.nat()), (pipeline, numbers) => {
        const next = (): number => numbers.next().value as number
        const plan = read(printPipeline(pipeline))
        const other = read(printPipeline({ ...pipeline, nodes: shuffled(pipeline.nodes, next) }))
        expect(other.hash).toBe(plan.hash)
        expect(other.nodes.map(({ id }) => id)).toEqual(plan.nodes.map(({ id }) => id))
      }),
      { numRuns: 60 }
    )
  })

  it("survives printing the plan and reading it again", () => {
    fc.assert(
      fc.property(spec, (pipeline) => {
        const plan = read(printPipeline(pipeline))
        const printed = printPipeline(specOf(plan))
        const again = read(printed)
        expect(again.hash).toBe(plan.hash)
        expect(printPipeline(specOf(again))).toBe(printed)
      }),
      { numRuns: 60 }
    )
  })

  it("puts every node after what it reads", () => {
    fc.assert(
      fc.property(spec, (pipeline) => {
        const done = new Set<string>()
        for (const { id, inputs } of read(printPipeline(pipeline)).nodes) {
          for (const { node } of Object.values(inputs).flat()) expect(done.has(node)).toBe(true)
          done.add(id)
        }
      }),
      { numRuns: 30 }
    )
  })

  it("changes with a config, a seed, a wire and an operator's version, not with the name, defaults or comments", () => {
    const text = (node: string, seed = 1, name = "a") =>
      `version: 1\nname: ${name}\nseed: ${seed}\nnodes:\n  web: { op: ReadPairs, path: x }\n  voc: { op: BuildVocabulary, ${node} }\n`
    const base = read(text("in: { text: web.text }")).hash
    const version = { ...registry, BuildVocabulary: { ...registry.BuildVocabulary, version: 2 } }
    const hashes = [
      read(text("in: { text: [web.text, web.text] }")).hash,
      read(text("in: { text: web.text }, size: 50")).hash,
      read(text("in: { text: web.text }", 2)).hash,
      Effect.runSync(readPipeline(text("in: { text: web.text }"), { file: "x", registry: version })).hash
    ]
    expect(new Set([base, ...hashes]).size).toBe(5)
    expect(
      read(text("in: { text: web.pairs.text }, size: 4000 } # as it is", 1, "b").replace("it is }", "it is")).hash
    ).toBe(base)
  })
})
