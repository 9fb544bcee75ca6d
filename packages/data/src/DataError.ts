/**
 * The one error of this package: which file, which row of it, what was expected, what came, and what to do about it.
 *
 * Parsers are plain functions that throw a DataError; `attempt` lifts them into Effect and turns whatever a library throws into
 * a DataError of the given code.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Error codes, each with the sentence that a person reads first. */
export const dataErrors = {
  Missing: "file not found",
  Unreadable: "file not readable",
  Unwritable: "file not written",
  NotDurable: "file not flushed to the disk",
  DiskFull: "no space left on the disk",
  OutsideRoot: "path leaves its folder",
  OverLimit: "over a limit",
  UnknownImage: "not an image that is read here",
  BadImage: "image not decodable",
  EmptyText: "text is empty",
  BadText: "text not readable",
  BadArrow: "Arrow file not valid",
  BadParquet: "Parquet file not valid",
  BadJson: "JSON not valid",
  BadMetadata: "metadata file not valid",
  BadSafetensors: "safetensors file not valid",
  BadColumn: "column missing or of another type",
  UnknownFormat: "no data of a known format",
  ParserStopped: "the parser of foreign files was stopped",
  Corrupted: "artifact differs from its manifest",
  NoArtifact: "no such artifact",
  BadArtifact: "artifact not valid"
} as const

export type DataErrorCode = keyof typeof dataErrors

export class DataError extends Schema.TaggedError<DataError>()("DataError", {
  code: Schema.Literals(Object.keys(dataErrors) as ReadonlyArray<DataErrorCode>),
  file: Schema.String,
  row: Schema.optionalKey(Schema.Number),
  detail: Schema.String,
  expected: Schema.optionalKey(Schema.String),
  got: Schema.optionalKey(Schema.String),
  hint: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const at = this.row === undefined ? this.file : `${this.file} row=${this.row}`
    const hint = this.hint === undefined ? "" : `\nhint: ${this.hint}`
    return `${dataErrors[this.code]}  ${at}  ${this.difference}${hint}`
  }

  /** What is wrong without the place: for ledgers, which name the row themselves and hold no paths. */
  get reason(): string {
    return `${dataErrors[this.code]}: ${this.difference}`
  }

  private get difference(): string {
    const expected = this.expected === undefined ? "" : `; expected ${this.expected}`
    const got = this.got === undefined ? "" : `, got ${this.got}`
    return `${this.detail}${expected}${got}`
  }
}

/** What is known of a failure before it happens: its code and its place. */
export interface Blame {
  readonly code: DataErrorCode
  readonly file: string
  readonly row?: number
}

const causeText = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** A DataError of whatever was thrown; one that is a DataError already keeps its own words. */
export const blame = (where: Blame, cause: unknown): DataError =>
  cause instanceof DataError ? cause : new DataError({ ...where, detail: causeText(cause) })

export const attempt = <A>(where: Blame, evaluate: () => A): Effect.Effect<A, DataError> =>
  Effect.try({ try: evaluate, catch: (cause) => blame(where, cause) })
