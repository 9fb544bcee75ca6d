/** Every way in which capturing, compiling or running a program fails. */
import * as Schema from "effect/Schema"

export class EngineError extends Schema.TaggedError<EngineError>()("EngineError", {
  reason: Schema.Literals([
    /** A tfjs kernel that capture doesn't know. */
    "UnsupportedKernel",
    /** Shapes or dtypes that don't fit, at capture or at a call. */
    "ShapeMismatch",
    /** A loss, gradient or output that is NaN or infinite. */
    "NonFinite",
    /** A value read while a program is captured, an unknown weight name and other mistakes of the program. */
    "InvalidProgram",
    /** The native library refused or failed. */
    "Execution",
    /** The executor can't run on this machine. */
    "Unavailable"
  ]),
  /** `Program.name`. */
  program: Schema.String,
  /** The kernel or op, where one is to blame. */
  op: Schema.optionalKey(Schema.String),
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.program}: ${this.op === undefined ? "" : `${this.op}: `}${this.detail}`
  }
}

/** For what capture throws, which is EngineErrors only; anything else is a bug of ours and must not look like a user's. */
export function asEngineError(cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause
  throw cause
}
