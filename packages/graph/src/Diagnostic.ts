/**
 * What is wrong with a pipeline, and where: all of it at once, sorted by place, each with a code frame.
 *
 *   error[V104] unknown column  pipelines/capfilt.yaml:9:42
 *     9 |   filter: { op: Filter, in: { image: web.imgae, ...
 *       |                                          ^^^^^ node web gives: image, text
 *   hint: did you mean web.image?
 */
import * as Data from "effect/Data"

/** Offsets into the text, end exclusive. `exact`: the text there is the value letter by letter, so a part of it can be pointed at. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly exact?: boolean
}

/** A mistake before it is placed in a file. */
export interface Finding {
  readonly code: string
  readonly message: string
  /** Stands beside the carets: what was expected here, what is known here. */
  readonly label?: string
  readonly span?: Span
  /** Where, in words; what is shown for pipelines that have no text. */
  readonly at?: string
  readonly expected?: string
  readonly given?: string
  readonly hint?: string
}

export interface Diagnostic extends Omit<Finding, "span"> {
  /** `V` and three digits; docs/errors.md lists them. */
  readonly code: string
  readonly file?: string
  /** From 1, as editors count; columns and length in UTF-16 code units. */
  readonly line?: number
  readonly col?: number
  readonly length?: number
  /** The line of the file and the carets under the mistake. */
  readonly frame?: string
}

/** Everything wrong with one pipeline: at least one diagnostic. */
export class Diagnostics extends Data.TaggedError("Diagnostics")<{ readonly diagnostics: ReadonlyArray<Diagnostic> }> {
  override get message(): string {
    return renderDiagnostics(this.diagnostics)
  }
}

/** The part of a span that holds `length` letters from `offset` on; the whole where the text isn't the value itself. */
export const within = (span: Span, offset: number, length: number): Span =>
  span.exact === true ? { start: span.start + offset, end: span.start + offset + length } : span

const width = 100

// What would move a terminal's cursor or turn its writing direction.
const unprintable = /[\p{Cc}\u200E\u200F\u202A-\u202E\u2066-\u2069\uFEFF]/gu

/** The line with its carets; a long line is cut so that the mistake stays in sight. */
const frameOf = (line: string, number: number, col: number, length: number, label: string | undefined): string => {
  const cut = col + Math.min(length, 40) > width ? col - 50 : 0
  const visible = line.replaceAll("\t", " ").replace(unprintable, "?")
  const shown = visible.slice(cut, cut + width).trimEnd()
  const text = `${cut > 0 ? "..." : ""}${shown}${cut + width < line.length ? " ..." : ""}`
  const gutter = String(number).padStart(3)
  const indent = " ".repeat(col - 1 - cut + (cut > 0 ? 3 : 0))
  const carets = "^".repeat(Math.max(1, Math.min(length, cut + width - col + 1)))
  return `${gutter} | ${text}\n${" ".repeat(gutter.length)} | ${indent}${carets}${label === undefined ? "" : ` ${label}`}`
}

export interface SourceText {
  readonly file: string
  readonly text: string
}

/** Offsets of the lines' first letters. */
export const lineStarts = (text: string): ReadonlyArray<number> => {
  const starts = [0]
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1)
  return starts
}

/** The line that an offset is in, from 0. */
export const lineAt = (starts: ReadonlyArray<number>, offset: number): number => {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (starts[middle]! <= offset) low = middle
    else high = middle - 1
  }
  return low
}

const place = (finding: Finding, source: SourceText, starts: ReadonlyArray<number>): Diagnostic => {
  const { span, ...rest } = finding
  if (span === undefined) return { ...rest, file: source.file }
  const start = span.start < source.text.length ? span.start : Math.max(0, source.text.trimEnd().length - 1)
  const index = lineAt(starts, start)
  const lineEnd = source.text.indexOf("\n", start)
  const line = source.text.slice(starts[index]!, lineEnd === -1 ? source.text.length : lineEnd).replace(/\r$/, "")
  const col = Math.min(start - starts[index]!, line.length) + 1
  const length = Math.max(1, Math.min(span.end - start, line.length - col + 1))
  const frame = frameOf(line, index + 1, col, length, finding.label)
  return { ...rest, file: source.file, line: index + 1, col, length, frame }
}

const order = (a: Diagnostic, b: Diagnostic): number =>
  (a.line ?? 0) - (b.line ?? 0) ||
  (a.col ?? 0) - (b.col ?? 0) ||
  (a.code < b.code ? -1 : a.code > b.code ? 1 : 0) ||
  (a.length ?? 0) - (b.length ?? 0)

/** Findings with their places, sorted, each once (the variants of a matrix repeat them). */
export const locate = (findings: ReadonlyArray<Finding>, source?: SourceText): ReadonlyArray<Diagnostic> => {
  const starts = source === undefined ? [] : lineStarts(source.text)
  const seen = new Set<string>()
  const placed: Array<Diagnostic> = []
  for (const finding of findings) {
    const { span, ...rest } = finding
    const where = span === undefined ? finding.at : `${span.start}-${span.end}`
    const key = [finding.code, finding.message, finding.label, where].join("\n")
    if (seen.has(key)) continue
    seen.add(key)
    placed.push(source === undefined ? rest : place(finding, source, starts))
  }
  return placed.sort(order)
}

/** One diagnostic as a person reads it; no colour, no trailing newline. */
export const renderDiagnostic = (diagnostic: Diagnostic): string => {
  const { file, line, col, at, frame, label, hint } = diagnostic
  const where = file !== undefined && line !== undefined ? `${file}:${line}:${col}` : (at ?? file ?? "")
  const detail = frame ?? (label === undefined ? undefined : `    | ${label}`)
  return [
    `error[${diagnostic.code}] ${diagnostic.message}${where === "" ? "" : `  ${where}`}`,
    ...(detail === undefined ? [] : [detail]),
    ...(hint === undefined ? [] : [`hint: ${hint}`])
  ].join("\n")
}

const shownAtMost = 50

/** All of them, a blank line between; after fifty only their number. */
export const renderDiagnostics = (diagnostics: ReadonlyArray<Diagnostic>): string => {
  const shown = diagnostics.slice(0, shownAtMost).map(renderDiagnostic)
  const rest = diagnostics.length - shown.length
  return [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join("\n\n")
}
