/** The editor's schema, judged by a small evaluator of the keywords it uses, on files that `readPipeline` reads and refuses. */
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { configFields, jsonSchema, printPipeline, readPipeline, specOf } from "../src/index.ts"
import { BuildVocabulary, Captioner, operators as registry } from "./operators.ts"

type Schema = Readonly<Record<string, any>> // JSON Schema is untyped JSON
const root: Schema = jsonSchema(registry)

const ofType: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean"
}

const object = (schema: Schema, value: Record<string, unknown>): boolean => {
  const properties: Schema = schema["properties"] ?? {}
  const rest = schema["additionalProperties"]
  return (
    ((schema["required"] ?? []) as Array<string>).every((key) => Object.hasOwn(value, key)) &&
    Object.keys(value).length >= (schema["minProperties"] ?? 0) &&
    Object.entries(value).every(([key, item]) => {
      if (Object.hasOwn(properties, key)) return valid(properties[key], item)
      return rest === undefined || rest === true || (rest !== false && valid(rest, item))
    })
  )
}

const valid = (schema: Schema, value: unknown): boolean => {
  if (schema["$ref"] !== undefined && !valid(root["$defs"][schema["$ref"].slice("#/$defs/".length)], value))
    return false
  if ("const" in schema && schema["const"] !== value) return false
  if (schema["enum"] !== undefined && !schema["enum"].includes(value)) return false
  if (schema["type"] !== undefined && !ofType[schema["type"]]!(value)) return false
  if (
    typeof value === "number" &&
    (value < (schema["minimum"] ?? -Infinity) || value > (schema["maximum"] ?? Infinity))
  )
    return false
  if (typeof value === "number" && value <= (schema["exclusiveMinimum"] ?? -Infinity)) return false
  if (typeof value === "string" && schema["pattern"] !== undefined && !new RegExp(schema["pattern"]).test(value))
    return false
  if (Array.isArray(value) && value.length < (schema["minItems"] ?? 0)) return false
  if (Array.isArray(value) && schema["items"] !== undefined && !value.every((item) => valid(schema["items"], item)))
    return false
  if (ofType["object"]!(value) && !object(schema, value as Record<string, unknown>)) return false
  if (schema["anyOf"] !== undefined && !schema["anyOf"].some((one: Schema) => valid(one, value))) return false
  if (schema["if"] !== undefined && valid(schema["if"], value) && !valid(schema["then"], value)) return false
  return ((schema["allOf"] ?? []) as Array<Schema>).every((one) => valid(one, value))
}

const good = `
version: 1
name: case
seed: 3
params: { steps: { type: int, default: 10, description: how long } }
models: { blip: { architecture: blip, preset: micro, vocabulary: vocabulary } }
matrix: { seed: [1, 2], data: { one: [web], two: [web, clean.kept] } }
nodes:
  web: { op: ReadPairs, path: data/web, on_bad_row: stop }
  vocabulary: { op: BuildVocabulary, in: { text: [web.text] }, size: "\${steps}" }
  clean: { op: Filter, in: { image: web.image, text: web.text }, keep: {}, persist: true }
  captions: { op: Captioner, model: blip, in: { image: web.image }, decode: { method: nucleus, top_p: 0.9 } }
  train: { op: Train, init: blip, in: { pairs: "\${data}" }, objectives: [itc], steps: "\${steps}" }
`

const broken = (from: string, to: string): boolean => valid(root, parse(good.replace(from, to)))

describe("jsonSchema", () => {
  it("accepts what readPipeline accepts", () => {
    const plan = Effect.runSync(readPipeline(good, { file: "good.yaml", registry }))
    expect(valid(root, parse(good))).toBe(true)
    expect(valid(root, parse(printPipeline(specOf(plan))))).toBe(true)
  })

  it.each([
    ["version: 1", "version: 2"],
    ["seed: 3", "seed: -3"],
    ["matrix:", "matrx:"],
    ["op: ReadPairs", "op: ReadPair"],
    ["path: data/web", "pth: data/web"],
    ["architecture: blip", "architecture: blop"],
    ['size: "${steps}"', "size: 3"],
    ['size: "${steps}"', 'size: "steps"'],
    ["top_p: 0.9", "top_p: 9"],
    ["method: nucleus, top_p: 0.9", "method: nucleus"],
    ["model: blip, in: { image: web.image }, decode", "in: { image: web.image }, decode"],
    ["in: { text: [web.text] }", "in: { txt: [web.text] }"],
    ["type: int", "type: integer"],
    ["persist: true", "persist: yes please"],
    ["on_bad_row: stop", "on_bad_row: ignore"],
    ["objectives: [itc]", "objectives: [itk]"]
  ])("refuses %s written %s", (from, to) => expect(broken(from, to)).toBe(false))

  it("shows descriptions and defaults", () => {
    expect(configFields(BuildVocabulary).fields).toMatchObject([
      {
        key: "size",
        required: false,
        description: "tokens at most",
        default: 4000,
        schema: { minimum: 10, maximum: 100_000 }
      }
    ])
    expect(configFields(Captioner).fields.map(({ key, default: of }) => [key, of])).toEqual([
      ["decode", { method: "greedy" }],
      ["n", 1]
    ])
  })
})
