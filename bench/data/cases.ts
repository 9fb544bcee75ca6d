/**
 * What has no peer, or only ourselves in another setting.
 *
 *   capfilt-tiny   the whole of pipelines/tiny/capfilt.yaml into an empty store, report included
 *   durability     the same with everything flushed and its state in SQLite, against nothing of it (bench/data/durability.ts)
 *   cli-help       `bootlace --help`, the whole process
 *   check-50       `bootlace check` of a file of 50 nodes, the whole process
 *   ten-nodes      rows through a chain of ten nodes without a model, and (ten-nodes-run) a whole run of it
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { isDeepStrictEqual } from "node:util"
import type { At, Case } from "../Case.ts"

const common = { suite: "data", peers: [], differs: () => undefined } as const
const tinyCapfilt = fileURLToPath(new URL("../../pipelines/tiny/capfilt.yaml", import.meta.url))

/** A source, a vocabulary, a model, and filters one behind the other with an encoder beside all but the last. */
const fiftyNodes = (): string => {
  const filters = Array.from({ length: 24 }, (_, i) => {
    const before = i === 0 ? "web" : `f${i - 1}.kept`
    const wires = `in: { image: ${before}.image, text: ${before}.text }`
    return `  f${i}: { op: Filter, model: blip, ${wires}, keep: { match_probability: { at_least: 0.5 } } }`
  })
  const encoders = Array.from(
    { length: 23 },
    (_, i) => `  e${i}: { op: ImageEncoder, model: blip, in: { image: f${i}.kept.image } }`
  )
  return [
    "version: 1",
    "name: fifty",
    "models: { blip: { architecture: blip, preset: nano, vocabulary: vocabulary } }",
    "nodes:",
    "  web: { op: ReadPairs, path: data }",
    "  vocabulary: { op: BuildVocabulary, in: { text: web.text } }",
    ...filters,
    ...encoders,
    ""
  ].join("\n")
}

/** Counts up, so that no run finds the store of the one before. */
let stores = 0

const capfilt = (nano: boolean): Case => {
  const fewer = nano ? ["--set", "steps=2", "--set", "finetune_steps=2"] : []
  return {
    ...common,
    name: "capfilt-tiny",
    unit: "a run",
    steps: 1,
    ours: ({ folder, threads }) => {
      const store = join(folder, `store-${++stores}`)
      const run = ["run", tinyCapfilt, "--store", store, "--threads", threads, ...fewer]
      return ["data/command.ts", "1", "FRESH", "--", ...run]
    }
  }
}

const tenNodes = (name: string, mode: "chain" | "run", batches: number): Case => ({
  ...common,
  name,
  unit: `${batches} batches`,
  items: [batches * 1024, "rows"],
  steps: 1,
  ours: () => ["data/RowRate.ts", mode, String(batches)]
})

/** The same run with everything flushed and written down, and with nothing; only where it is named. */
const durability = (nano: boolean): Case => {
  const fewer = nano ? ["steps=2", "finetune_steps=2"] : []
  const run = (how: "DURABLE" | "FORGETFUL") => (at: At) => {
    const store = join(at.folder, `durability-${++stores}`)
    return ["data/durability.ts", how, at.steps, at.threads, store, ...fewer]
  }
  return {
    ...common,
    name: "durability",
    unit: "a run",
    steps: 1,
    named: true,
    ours: run("DURABLE"),
    peers: [{ name: "forgetful", self: true, modules: [], requirements: "", command: run("FORGETFUL") }],
    differs: (ours, peer) => (isDeepStrictEqual(ours, peer) ? undefined : "other digests")
  }
}

export const dataCases = (nano: boolean): ReadonlyArray<Case> => [
  capfilt(nano),
  durability(nano),
  {
    ...common,
    name: "cli-help",
    unit: "a call",
    steps: nano ? 1 : 10,
    ours: ({ steps }) => ["data/command.ts", steps, "WARM", "--", "--help"]
  },
  {
    ...common,
    name: "check-50",
    unit: "a call",
    steps: nano ? 1 : 10,
    prepare: (folder) => writeFile(join(folder, "fifty.yaml"), fiftyNodes()),
    ours: ({ folder, steps }) => ["data/command.ts", steps, "WARM", "--", "check", join(folder, "fifty.yaml")]
  },
  tenNodes("ten-nodes", "chain", nano ? 20 : 10_000),
  tenNodes("ten-nodes-run", "run", nano ? 20 : 1000)
]
