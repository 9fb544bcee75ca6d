/** What rows of a training batch are to each other that show the same image with other texts; for ITC and ITM. */
import * as Schema from "effect/Schema"

export const sameImage = Schema.optionalKey(
  Schema.Literals(["positive", "negative"]).annotate({
    description:
      "in Train: whether a text of the same image is right for it or a negative; default negative, of the objectives itc and itm without lm positive"
  })
)
