/** A table of plain text: columns as wide as their widest cell, numbers to the right. */

export interface Column {
  readonly title: string
  readonly align?: "left" | "right"
}

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" })
const wide =
  /\p{Extended_Pictographic}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u

/** Terminal cells that a text takes: emoji and East Asian wide characters take two. */
export const cellWidth = (text: string): number => {
  let width = 0
  for (const { segment } of segmenter.segment(text)) width += wide.test(segment) ? 2 : 1
  return width
}

// Escape sequences and line breaks from file names and captions would move the cursor.
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g
/** One line without control characters. */
export const printable = (text: string): string => text.replace(control, "\ufffd")

const pad = (text: string, width: number, align: Column["align"]): string => {
  const space = " ".repeat(Math.max(0, width - cellWidth(text)))
  return align === "right" ? space + text : text + space
}

/** Lines without a newline at the end. */
export const table = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const clean = rows.map((row) => row.map(printable))
  const widths = columns.map((column, c) =>
    Math.max(cellWidth(column.title), ...clean.map((row) => cellWidth(row[c] ?? "")))
  )
  const line = (cells: ReadonlyArray<string>) =>
    columns
      .map((column, c) => pad(cells[c] ?? "", widths[c]!, column.align))
      .join("  ")
      .trimEnd()
  return [
    line(columns.map((column) => column.title)),
    widths.map((width) => "-".repeat(width)).join("  "),
    ...clean.map(line)
  ].join("\n")
}

/** `1 row`, `2 rows`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`
