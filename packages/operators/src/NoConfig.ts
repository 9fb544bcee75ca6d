/** The config of an operator that has none: effect's empty struct would let any key pass. */
import * as Schema from "effect/Schema"

export const noConfig = Schema.Struct({}).check(
  Schema.makeFilter((config: object) => {
    const keys = Object.keys(config)
    return keys.length === 0 || `no keys, but there is ${keys.join(", ")}`
  })
)
