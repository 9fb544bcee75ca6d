/** What random changes of training images can be told (Augment.ts, RandAugment.ts). */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export const RandAugment = Schema.Struct({
  n: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10 }))
    .annotate({ description: "operations an image" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(2))),
  m: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 10 }))
    .annotate({ description: "strength, from 0 to 10" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(5)))
})
export type RandAugment = typeof RandAugment.Type

const share = Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1))

export const Augment = Schema.Struct({
  random_resized_crop: Schema.optionalKey(
    Schema.Struct({
      scale: Schema.Tuple([share, share]).annotate({
        description: "smallest and largest share of the area, e.g. [0.5, 1]"
      })
    })
  ),
  horizontal_flip: Schema.optionalKey(Schema.Boolean.annotate({ description: "mirror half of the images" })),
  rand_augment: Schema.optionalKey(
    RandAugment.annotate({ description: "n random operations of strength m; BLIP's are { n: 2, m: 5 }" })
  )
})
export type Augment = typeof Augment.Type
