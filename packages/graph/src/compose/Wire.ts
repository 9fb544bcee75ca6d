/**
 * Wires in TypeScript: what they carry is in their type, so that a wrong one doesn't compile.
 *
 *   ColumnWire    a column's type and the row set it belongs to (`web.pairs`)
 *   StreamWire    rows: columns by name, and their row set
 *   ArtifactWire  an artifact's type; of a model also its architecture
 */
import type { ArtifactType, ColumnType, Columns } from "../ColumnType.ts"
import type { Architecture } from "../Operator.ts"
import type { Composed } from "./Node.ts"

/** What a wire is at run time: the node it comes from, and what stands after the node's name. */
export interface Link {
  readonly node: Composed
  readonly rest: ReadonlyArray<string>
  /** Of a column wire. */
  readonly column?: true
}

/** Under symbols, so that every other name is free for columns and ports. */
export const link: unique symbol = Symbol("link")
declare const carries: unique symbol

export interface Wire<Carries> {
  readonly [link]: Link
  /** In the type only. */
  readonly [carries]?: Carries
}

export interface ColumnWire<out Type extends ColumnType, out Rows extends string> extends Wire<{
  readonly column: Type
  readonly rows: Rows
}> {}

export interface StreamWire<out Cols extends Columns, out Rows extends string> extends Wire<{
  readonly stream: Cols
  readonly rows: Rows
}> {}

export interface ArtifactWire<
  out Type extends ArtifactType,
  out Model extends Architecture = Architecture
> extends Wire<{
  readonly artifact: Type
  readonly architecture: Model
}> {}

export type AnyWire = Wire<unknown>

/** A stream whose columns are its properties. */
export type Stream<Cols extends Columns, Rows extends string> = StreamWire<Cols, Rows> & {
  readonly [Name in keyof Cols]: ColumnWire<Cols[Name], Rows>
}

export const isWire = (value: unknown): value is AnyWire => typeof value === "object" && value !== null && link in value

const wire = (to: Link): AnyWire => ({ [link]: to })

export const columnWire = (node: Composed, rest: ReadonlyArray<string>): AnyWire => wire({ node, rest, column: true })

/** Rows of `node.port`, reached through `rest`; the columns are properties. */
export const streamWire = (
  node: Composed,
  rest: ReadonlyArray<string>,
  port: string,
  columns: Iterable<string>
): AnyWire =>
  Object.assign(
    wire({ node, rest }),
    Object.fromEntries([...columns].map((name) => [name, columnWire(node, [port, name])]))
  )

export const artifactWire = (node: Composed, rest: ReadonlyArray<string>): AnyWire => wire({ node, rest })

/**
 * A column that the stream's type doesn't know: one that a source's config asks for, or a score that Filter with a model adds.
 * Its type is taken at its word here and checked with the pipeline.
 */
export const column = <Type extends ColumnType, Rows extends string>(
  stream: StreamWire<Columns, Rows>,
  name: string,
  _type: Type
): ColumnWire<Type, Rows> => {
  const { node, rest } = stream[link]
  return columnWire(node, [...rest, name]) as ColumnWire<Type, Rows>
}
