/** `bootlace ops` and `bootlace schema`: what operators there are, and for one of them its ports and config. */
import { configFields, jsonSchema } from "@bootlace/graph"
import type { AnyOperator, Input } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { usage } from "../Failure.ts"
import { loadRegistry } from "../LoadPipeline.ts"
import { out } from "../Screen.ts"
import { table } from "../Table.ts"

const columnsText = (columns: Readonly<Record<string, string>>): string =>
  Object.entries(columns)
    .map(([name, type]) => `${name}: ${type}`)
    .join(", ")

const inputText = (input: Input): string => {
  if (typeof input === "string") return input
  const many = "many" in input && input.many === true ? ", one or several" : ""
  const optional = "optional" in input && input.optional === true ? ", optional" : ""
  if ("column" in input) return `${input.column}${many}${optional}`
  if ("artifact" in input) return `artifact ${input.artifact}${many}${optional}`
  return `rows with ${columnsText(input.stream)}${many}`
}

const outputsOf = (operator: AnyOperator): ReadonlyArray<readonly [string, string]> => {
  switch (operator.kind) {
    case "source":
      return Object.entries(operator.ports as Readonly<Record<string, Readonly<Record<string, string>>>>).map(
        ([port, columns]) => [port, `rows with ${columnsText(columns)}`]
      )
    case "route":
      return (operator.ports as ReadonlyArray<string>).map((port) => [port, "rows with the columns wired in"])
    case "union":
      return [["rows", "rows with the columns common to all"]]
    case "map":
    case "expand":
      return Object.entries(operator.outputs as Readonly<Record<string, string>>)
    case "fold":
    case "train":
      return Object.entries(operator.outputs as Readonly<Record<string, string>>).map(([name, type]) => [
        name,
        `artifact ${type}`
      ])
  }
}

interface FieldSchema {
  readonly type?: string
  readonly enum?: ReadonlyArray<unknown>
  readonly anyOf?: ReadonlyArray<FieldSchema>
  readonly items?: FieldSchema
  readonly properties?: Readonly<Record<string, FieldSchema>>
  readonly description?: string
}

const typeText = (schema: FieldSchema): string => {
  if (schema.enum !== undefined) return schema.enum.map(String).join(" | ")
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeText))].join(" | ")
  if (schema.type === "array") return `list of ${schema.items === undefined ? "values" : typeText(schema.items)}`
  return schema.type === "object" ? "map" : (schema.type ?? "value")
}

const configTable = (operator: AnyOperator): ReadonlyArray<string> => {
  const { fields } = configFields(operator)
  if (fields.length === 0) return []
  const rows = fields.flatMap((field) => {
    const schema = field.schema as FieldSchema
    const inner = Object.entries(schema.properties ?? {})
    const given = (value: unknown) => (value === undefined ? "" : JSON.stringify(value))
    const defaults = (field.default ?? {}) as Readonly<Record<string, unknown>>
    return [
      [
        field.key,
        typeText(schema),
        field.required ? "required" : inner.length > 0 ? "" : given(field.default),
        field.description ?? ""
      ],
      ...inner.map(([key, part]) => [`  ${key}`, typeText(part), given(defaults[key]), part.description ?? ""])
    ]
  })
  return ["", table([{ title: "config" }, { title: "type" }, { title: "default" }, { title: "what it says" }], rows)]
}

const explain = (operator: AnyOperator): string => {
  const inputs = Object.entries(operator.inputs as Readonly<Record<string, Input>>)
  const block = (title: string, rows: ReadonlyArray<readonly [string, string]>) =>
    rows.length === 0 ? [] : ["", title, ...rows.map(([name, text]) => `  ${name.padEnd(20)} ${text}`)]
  return [
    `${operator.name} (${operator.kind}, version ${operator.version})`,
    operator.description,
    ...block("inputs", [
      ...(operator.model === undefined ? [] : [["model", `artifact model: ${operator.model.join(" or ")}`] as const]),
      ...inputs.map(([name, input]) => [name, inputText(input)] as const)
    ]),
    ...(operator.openInputs === true ? ["  any further column is passed on under its name"] : []),
    ...block("outputs", outputsOf(operator)),
    ...(operator.training === undefined
      ? []
      : [
          ...block(
            "inputs inside Train",
            Object.entries(operator.training.inputs as Readonly<Record<string, Input>>).map(([name, input]) => [
              name,
              inputText(input)
            ])
          ),
          ...block("outputs inside Train", Object.entries(operator.training.outputs))
        ]),
    ...configTable(operator)
  ].join("\n")
}

export interface OpsOptions {
  readonly name: string | undefined
  readonly noConfig: boolean
}

export const ops = Effect.fnUntraced(function* ({ name, noConfig }: OpsOptions) {
  const { registry } = yield* loadRegistry(process.cwd(), noConfig)
  if (name === undefined) {
    const rows = Object.values(registry).map((each) => [each.name, each.kind, each.description])
    return yield* out(table([{ title: "operator" }, { title: "kind" }, { title: "what it does" }], rows))
  }
  const operator = registry[name]
  if (operator === undefined) {
    return yield* usage(`error: no operator ${name}\nhint: bootlace ops lists them`)
  }
  yield* out(explain(operator))
})

/** `bootlace schema`: what an editor checks pipelines by. */
export const schema = Effect.fnUntraced(function* ({ noConfig }: { readonly noConfig: boolean }) {
  const { registry } = yield* loadRegistry(process.cwd(), noConfig)
  yield* out(JSON.stringify(jsonSchema(registry), null, 2))
})
