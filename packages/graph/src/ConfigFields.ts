/** What can be said of an operator's config: its keys with their descriptions, defaults and JSON Schemas. For editors and `bootlace ops`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaParser from "effect/SchemaParser"
import type { JsonSchema } from "effect"
import type { AnyOperator } from "./Operator.ts"

export interface ConfigField {
  readonly key: string
  readonly required: boolean
  readonly description?: string
  /** As it would be written. */
  readonly default?: unknown
  /** Draft 2020-12. */
  readonly schema: JsonSchema.JsonSchema
}

/** What decoding gives where the key is absent, encoded again. */
const defaultOf = (property: SchemaAST.PropertySignature): unknown => {
  const alone = Schema.make<Schema.Codec<unknown, unknown>>(new SchemaAST.Objects([property], []))
  const decoded = SchemaParser.decodeUnknownResult(alone)({})
  if (Result.isFailure(decoded)) return undefined
  const encoded = SchemaParser.encodeUnknownResult(alone)(decoded.success)
  return Result.isSuccess(encoded) ? (encoded.success as Record<PropertyKey, unknown>)[property.name] : undefined
}

/** The bounds of safe integers say nothing to a person. */
const isNoise = (key: string, value: unknown): boolean =>
  (key === "minimum" || key === "maximum") && Math.abs(value as number) === Number.MAX_SAFE_INTEGER

const withoutNoise = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(withoutNoise)
  if (typeof schema !== "object" || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => !isNoise(key, value))
      .map(([key, value]) => [key, withoutNoise(value)])
  )
}

export interface ConfigFields {
  readonly fields: ReadonlyArray<ConfigField>
  /** Schemas that the fields refer to as `#/$defs/<name>`. */
  readonly definitions: Readonly<Record<string, JsonSchema.JsonSchema>>
}

/** An operator's config keys in declared order. */
export const configFields = (operator: AnyOperator): ConfigFields => {
  const { ast } = operator.config
  const document = Schema.toJsonSchemaDocument(operator.config, { onExcessProperty: "error" })
  const { properties = {}, required = [] } = withoutNoise(document.schema) as {
    readonly properties?: Record<string, JsonSchema.JsonSchema>
    readonly required?: ReadonlyArray<string>
  }
  const signatures = ast._tag === "Objects" ? ast.propertySignatures : []
  const fields = Object.entries(properties).map(([key, schema]): ConfigField => {
    const signature = signatures.find(({ name }) => name === key)
    const fallback = signature === undefined ? undefined : defaultOf(signature)
    const description = schema["description"]
    return {
      key,
      required: required.includes(key),
      ...(typeof description === "string" ? { description } : {}),
      ...(fallback === undefined ? {} : { default: fallback }),
      schema
    }
  })
  return { fields, definitions: withoutNoise(document.definitions) as ConfigFields["definitions"] }
}
