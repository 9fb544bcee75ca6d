/** What low-rank adapters can be told (Lora.ts). */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const positive = Schema.Finite.check(Schema.isGreaterThan(0))

export const LoraConfig = Schema.Struct({
  rank: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1024 }))
    .annotate({ description: "of the adapters" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(8))),
  alpha: positive
    .annotate({ description: "adapters are scaled by alpha / rank" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(16))),
  targets: Schema.optionalKey(
    Schema.NonEmptyArray(Schema.String).annotate({
      description: "linear layers by the end of their names; default the attentions' queries and values"
    })
  )
})
export type LoraConfig = typeof LoraConfig.Type
