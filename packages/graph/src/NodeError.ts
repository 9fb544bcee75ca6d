/** A failure of a running node, said so that a person can act on it. */
import * as Schema from "effect/Schema"

export class NodeError extends Schema.TaggedError<NodeError>()("NodeError", {
  /** `R` and three digits; docs/errors.md lists them. */
  code: Schema.String,
  node: Schema.String,
  shard: Schema.optionalKey(Schema.String),
  row: Schema.optionalKey(Schema.Int),
  /** What was expected and what came. */
  detail: Schema.String,
  hint: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const where = [
      `node=${this.node}`,
      ...(this.shard === undefined ? [] : [`shard=${this.shard}`]),
      ...(this.row === undefined ? [] : [`row=${this.row}`])
    ]
    return `error[${this.code}] ${where.join(" ")}  ${this.detail}${this.hint === undefined ? "" : `\nhint: ${this.hint}`}`
  }
}
