/** What of dropout (TextDropout.ts) a config says, and for which models it may. */
import type { Model } from "@bootlace/models"
import * as Schema from "effect/Schema"

/** A key of the operators that read texts. */
export const dropout = Schema.optionalKey(
  Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(1)).annotate({
    description: "in Train: share of the text transformer's activations that a step leaves out, at random; for blip"
  })
)

export const dropoutRefusal = (architecture: Model["architecture"]): string | undefined =>
  architecture === "blip"
    ? undefined
    : `dropout is that of BLIP's text transformer; a ${architecture} model is trained without`
