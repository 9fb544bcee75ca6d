/**
 * The JSON Schema of pipeline files, made of the operators' own schemas: completion, hover texts and red lines in an editor.
 * It knows keys, types, ranges and names of inputs; what wires mean is `check`'s.
 */
import { declaredInputs, columnOf, isOptional } from "./check/Inputs.ts"
import { configFields } from "./ConfigFields.ts"
import type { AnyOperator, Input, Registry } from "./Operator.ts"
import { modelOperator } from "./yaml/ReadDocument.ts"

export type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }
type JsonObject = { readonly [key: string]: Json }

const param: JsonObject = { $ref: "#/$defs/param" }
const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const mapped = (value: Json | undefined): JsonObject =>
  isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, orParam(item)])) : {}

/** Wherever a value may stand, `${name}` may too. */
const orParam = (schema: Json): Json => {
  if (!isObject(schema)) return schema
  const inside: Record<string, Json> = { ...schema }
  if (schema["properties"] !== undefined) inside["properties"] = mapped(schema["properties"])
  for (const key of ["items", "additionalProperties"]) if (isObject(schema[key])) inside[key] = orParam(schema[key])
  if (schema["type"] === "string" && schema["enum"] === undefined) return inside
  const { description, default: fallback, ...rest } = inside
  return {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    anyOf: [rest, param]
  }
}

const describe = (input: Input): string => {
  const type = columnOf(input)
  if (type !== undefined) return `a column of type ${type}`
  if (typeof input !== "string" && "artifact" in input) return `an artifact: ${input.artifact}`
  const columns = typeof input !== "string" && "stream" in input ? Object.entries(input.stream) : []
  return columns.length === 0 ? "rows" : `rows with ${columns.map(([name, of]) => `${name} (${of})`).join(", ")}`
}

const wire = (input: Input): JsonObject => ({
  description: `${describe(input)}${isOptional(input) ? "; optional" : ""}`,
  $ref: typeof input !== "string" && input.many === true ? "#/$defs/references" : "#/$defs/reference"
})

/** `in`, and `model` and `init` beside it. */
const wiring = (
  operator: AnyOperator
): { readonly properties: JsonObject; readonly required: ReadonlyArray<string> } => {
  const declared = Object.entries(declaredInputs(operator))
  const beside = declared.filter(([name]) => name === "model" || name === "init")
  const inside = declared.filter(([name]) => name !== "model" && name !== "init")
  const needed = inside.filter(([, input]) => !isOptional(input)).map(([name]) => name)
  const open = operator.openInputs === true
  const inputs: JsonObject = {
    type: "object",
    properties: Object.fromEntries(inside.map(([name, input]) => [name, wire(input)])),
    additionalProperties: open ? { $ref: "#/$defs/references" } : false,
    required: needed
  }
  return {
    properties: {
      ...(inside.length > 0 || open ? { in: inputs } : {}),
      ...Object.fromEntries(beside.map(([name, input]) => [name, wire(input)]))
    },
    required: [
      ...(needed.length > 0 ? ["in"] : []),
      ...beside.filter(([, input]) => !isOptional(input)).map(([name]) => name)
    ]
  }
}

const config = (
  operator: AnyOperator
): { readonly properties: JsonObject; readonly required: ReadonlyArray<string> } => {
  const { fields } = configFields(operator)
  const properties = fields.map(({ key, schema, default: fallback }) => {
    const json = schema as JsonObject
    return [key, orParam(fallback === undefined ? json : { ...json, default: fallback as Json })] as const
  })
  return {
    properties: Object.fromEntries(properties),
    required: fields.filter(({ required }) => required).map(({ key }) => key)
  }
}

const everyNode: JsonObject = {
  op: { $ref: "#/$defs/op" },
  persist: {
    type: "boolean",
    default: false,
    description: "keep the node's columns as artifacts even when nothing asks for them"
  },
  on_bad_row: { $ref: "#/$defs/on_bad_row" }
}
const trainKeys: JsonObject = {
  graph: {
    type: "object",
    description: "the training graph: operators on the columns of the node's inputs, e.g. pairs.image",
    additionalProperties: {
      type: "object",
      required: ["op"],
      properties: { op: { type: "string" }, in: { type: "object" } }
    }
  },
  minimize: {
    description: "losses to sum, node.loss; or a weight for each",
    anyOf: [{ $ref: "#/$defs/references" }, { type: "object", additionalProperties: { type: "number" } }]
  }
}

const nodeOf = (operator: AnyOperator): JsonObject => {
  const wires = wiring(operator)
  const own = config(operator)
  return {
    properties: {
      ...everyNode,
      ...wires.properties,
      ...(operator.kind === "train" ? trainKeys : {}),
      ...own.properties
    },
    required: ["op", ...wires.required, ...own.required],
    additionalProperties: false
  }
}

const modelOf = (operator: AnyOperator): JsonObject => {
  const own = config(operator)
  const wires = Object.entries(declaredInputs(operator))
  return {
    type: "object",
    properties: { ...own.properties, ...Object.fromEntries(wires.map(([name, input]) => [name, wire(input)])) },
    required: own.required,
    additionalProperties: false
  }
}

const fixedDefinitions: JsonObject = {
  param: { type: "string", pattern: "^\\$\\{[^{}]*\\}$", description: "${name} of a param or a matrix axis" },
  reference: { type: "string", description: "node, node.port, node.column or node.port.column" },
  references: {
    anyOf: [{ $ref: "#/$defs/reference" }, { type: "array", items: { $ref: "#/$defs/reference" }, minItems: 1 }]
  },
  on_bad_row: {
    description:
      "reject puts bad rows aside, stop fails at the first; budget is the share of rows beyond which the run ends with exit 3",
    anyOf: [
      { enum: ["reject", "stop"] },
      {
        type: "object",
        properties: { action: { enum: ["reject", "stop"] }, budget: { type: "number", minimum: 0, maximum: 1 } },
        additionalProperties: false
      }
    ]
  },
  paramDeclaration: {
    type: "object",
    properties: {
      type: { enum: ["int", "number", "string", "boolean"] },
      default: {},
      description: { type: "string" }
    },
    required: ["type"],
    additionalProperties: false
  }
}

const sections = (registry: Registry): JsonObject => ({
  version: { const: 1 },
  name: { type: "string", description: "runs are listed under it" },
  description: { type: "string" },
  seed: { description: "of all random numbers", anyOf: [{ type: "integer", minimum: 0 }, param] },
  params: {
    type: "object",
    description: "values that ${name} stands for and --set changes",
    additionalProperties: { $ref: "#/$defs/paramDeclaration" }
  },
  models: {
    type: "object",
    description: "models with fresh weights",
    additionalProperties: registry[modelOperator] === undefined ? false : { $ref: `#/$defs/models` }
  },
  matrix: {
    type: "object",
    description: "axes; every node that depends on one is there once for each of its values",
    additionalProperties: {
      anyOf: [
        { type: "array", minItems: 1 },
        { type: "object", minProperties: 1 }
      ]
    }
  },
  nodes: { type: "object", additionalProperties: { $ref: "#/$defs/node" } }
})

/** Draft 2020-12, for a `# yaml-language-server: $schema=...` comment. */
export const jsonSchema = (registry: Registry): JsonObject => {
  const operators = Object.values(registry)
  const model = registry[modelOperator]
  const definitions = Object.assign(
    {},
    ...operators.map((operator) => configFields(operator).definitions)
  ) as JsonObject
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Bootlace pipeline",
    type: "object",
    properties: sections(registry),
    required: ["version", "name", "nodes"],
    additionalProperties: false,
    $defs: {
      ...definitions,
      ...fixedDefinitions,
      ...(model === undefined ? {} : { models: modelOf(model) }),
      op: { anyOf: operators.map(({ name, description }) => ({ const: name, description })) },
      node: {
        type: "object",
        properties: { op: { $ref: "#/$defs/op" } },
        required: ["op"],
        allOf: operators.map((operator) => ({
          if: { properties: { op: { const: operator.name } }, required: ["op"] },
          // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's word
          then: nodeOf(operator)
        }))
      }
    }
  }
}
