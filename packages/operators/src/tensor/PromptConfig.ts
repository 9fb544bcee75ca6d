/** What of a prompt (Prompt.ts) a config says. */
import * as Schema from "effect/Schema"

export const prompt = Schema.optionalKey(
  Schema.NonEmptyString.annotate({
    description: 'words before every caption, e.g. "a picture of": given, not predicted, and no part of what is written'
  })
)
