/**
 * HTML as a value: whatever is put into a template is escaped, unless it is HTML already.
 *
 * Captions, file names and node ids come from strangers; this type is the only way into the page.
 */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toString(): string {
    return this.text
  }
}

export type Part = Html | string | number | undefined | ReadonlyArray<Part>

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

// Control characters have no meaning on a page, and bidirectional overrides can reorder the text around them.
// oxlint-disable-next-line no-control-regex
const invisible = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g

/** Safe as text and inside a quoted attribute. */
export const escape = (text: string): string =>
  text.replace(invisible, "\ufffd").replace(/[&<>"']/g, (character) => entities[character]!)

const render = (part: Part): string => {
  if (part === undefined) return ""
  if (part instanceof Html) return part.text
  if (typeof part === "string") return escape(part)
  if (typeof part === "number") return String(part)
  return part.map(render).join("")
}

/** A template whose parts are escaped; arrays are joined, undefined is nothing. */
export const html = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Html =>
  new Html(strings.map((string, i) => string + render(parts[i])).join(""))

/** The first `length` characters (whole code points), with an ellipsis where something was cut. */
export const clip = (text: string, length: number): string => {
  const points = Array.from(text.slice(0, 4 * length))
  return points.length <= length && text.length <= 4 * length ? text : `${points.slice(0, length - 1).join("")}…`
}
