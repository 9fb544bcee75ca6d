import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A folder that no model can be made of, in words for a person. */
export class CheckpointError extends Schema.TaggedError<CheckpointError>()("CheckpointError", {
  folder: Schema.String,
  detail: Schema.String,
  hint: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    return `no usable checkpoint  ${this.folder}  ${this.detail}${this.hint === undefined ? "" : `\nhint: ${this.hint}`}`
  }
}

export const attemptCheckpoint = <A>(folder: string, evaluate: () => A): Effect.Effect<A, CheckpointError> =>
  Effect.try({
    try: evaluate,
    catch: (cause) => new CheckpointError({ folder, detail: cause instanceof Error ? cause.message : String(cause) })
  })
