/**
 * Untrusted text to a tree: YAML 1.2 without anchors, aliases, tags, merge keys and further documents, within limits.
 *
 * The limits act while the text is cut into tokens, before anything is built from them; duplicate keys are found here in
 * linear time (the parser's own check compares every pair).
 */
import { Composer, CST, isAlias, isMap, isScalar, isSeq, Lexer, Parser, type Document, type ParsedNode } from "yaml"
import { lineAt, lineStarts, type Finding, type Span } from "../Diagnostic.ts"
import type { Tree, TreeEntry } from "./Tree.ts"

/** A file beyond one of these is refused, named with its limit. */
export const yamlLimits = { bytes: 256 * 1024, depth: 32, values: 20_000, nodes: 2_000 } as const

/** `${name}` is masked letter for letter while YAML is read, because a brace would end a plain scalar inside `{ }`. */
export const mask = { open: "\uE000", close: "\uE001", escaped: "\uE002" } as const
const masked = (text: string): string =>
  text.replace(/\$\$\{|\$\{([^{}\n"']*)\}/g, (match, inner: string | undefined) =>
    inner === undefined && match === "$${" ? `$$${mask.escaped}` : `$${mask.open}${inner}${mask.close}`
  )

/** `${` and `}` again as written. */
export const unmasked = (text: string): string =>
  text.replaceAll(mask.open, "{").replaceAll(mask.escaped, "{").replaceAll(mask.close, "}")

const refused = (message: string, span: Span, label?: string): Finding => ({
  code: "V101",
  message,
  span,
  ...(label === undefined ? {} : { label })
})

// Control characters, those that turn the writing direction, bare carriage returns, halves of surrogate pairs, the mask's letters (spelled out too), a byte order mark inside.
const unprintable =
  /[^\P{Cc}\t\n\r]|[\uE000-\uE002\u202A-\u202E\u2066-\u2069\uFEFF\uFFFE\uFFFF]|\r(?!\n)|\p{Surrogate}|\\u[eE]00[012]/u

const badCharacter = (text: string): Finding | undefined => {
  const at = text.search(unprintable)
  if (at === -1) return undefined
  const code = text.codePointAt(at)!.toString(16).toUpperCase().padStart(4, "0")
  return refused("character not allowed", { start: at, end: at + 1 }, `U+${code} can't stand in a pipeline`)
}

const words: Partial<Record<CST.TokenType, string>> = {
  anchor: "anchors (&name) are not part of pipelines: write the value where it is used, or as a param",
  alias: "aliases (*name) are not part of pipelines: write the value where it is used, or as a param",
  tag: "tags (!name) are not part of pipelines: quote the text if it starts with an exclamation mark",
  "directive-line": "directives (%NAME) are not part of pipelines"
}

/** Tokens to look at after something was refused, for more of the kind. */
const enough = 5_000

interface Tokens {
  readonly tokens: ReadonlyArray<CST.Token>
  readonly findings: ReadonlyArray<Finding>
}

/** Cuts the text into tokens; stops at the first limit passed, names every feature refused once. */
const tokenise = (text: string): Tokens => {
  const parser = new Parser()
  const tokens: Array<CST.Token> = []
  const findings: Array<Finding> = []
  const named = new Set<string>()
  let values = 0
  let marks = 0
  let since = 0
  let documents = 0
  let inScalar = false
  for (const lexeme of new Lexer().lex(text)) {
    const type = inScalar ? "scalar" : CST.tokenType(lexeme)
    const span = { start: parser.offset, end: parser.offset + Math.max(1, lexeme.length) }
    if (type !== null && words[type] !== undefined && !named.has(type)) {
      named.add(type)
      findings.push(refused("YAML feature not allowed", span, words[type]))
    }
    if (type === "doc-start" && (values > 0 || ++documents > 1)) {
      return { tokens, findings: [...findings, refused("second document", span, "a pipeline file holds one document")] }
    }
    if (inScalar || type === "flow-map-start" || type === "flow-seq-start" || type === "seq-item-ind") values++
    if (type === "explicit-key-ind" || type === "map-value-ind") marks++
    if (values > yamlLimits.values || marks > yamlLimits.values) {
      return {
        tokens,
        findings: [...findings, refused("file too large", span, `more than ${yamlLimits.values} keys and values`)]
      }
    }
    if (findings.length > 0 && ++since > enough) return { tokens, findings }
    inScalar = lexeme === CST.SCALAR
    for (const token of parser.next(lexeme)) tokens.push(token)
    if (parser.stack.length > yamlLimits.depth + 2) {
      return {
        tokens,
        findings: [...findings, refused("nested too deep", span, `more than ${yamlLimits.depth} levels`)]
      }
    }
  }
  for (const token of parser.end()) tokens.push(token)
  return { tokens, findings }
}

/** Names that would reach into JavaScript's own objects. */
const forbiddenKeys = new Set(["__proto__", "constructor", "prototype"])

interface Reading {
  readonly text: string
  readonly findings: Array<Finding>
  /** Offsets where lines begin; found when the first duplicate asks. */
  lines?: ReadonlyArray<number>
}

/** A file with so many mistakes is not read on: nobody reads on, and finding them all would take long. */
const mistakes = 200

const lineOf = (offset: number, reading: Reading): number => {
  reading.lines ??= lineStarts(reading.text)
  return lineAt(reading.lines, offset) + 1
}

const spanOf = (node: ParsedNode, { text }: Reading): Span => {
  const [start, end] = node.range
  if (!isScalar(node) || typeof node.value !== "string") return { start, end }
  const value = unmasked(node.value)
  if (text.slice(start, end) === value) return { start, end, exact: true }
  if (text.slice(start + 1, end - 1) === value) return { start: start + 1, end: end - 1, exact: true }
  return { start, end }
}

const keyName = (key: ParsedNode | null, reading: Reading, near: Span): { name: string; span: Span } | undefined => {
  const span = key === null ? near : spanOf(key, reading)
  if (key === null || !isScalar(key)) {
    reading.findings.push(refused("not a name", span, "a key is one word or a quoted text"))
    return undefined
  }
  const name = typeof key.value === "string" ? key.value : (key.source ?? "")
  if (name === "<<")
    reading.findings.push(refused("YAML feature not allowed", span, "merge keys (<<) are not part of pipelines"))
  else if (name === "") reading.findings.push(refused("not a name", span, "a key can't be empty"))
  else if (forbiddenKeys.has(name)) reading.findings.push(refused("key not allowed", span, `${name} can't be a key`))
  else if (name.includes(mask.open) || name.includes(mask.escaped))
    reading.findings.push(refused("not a name", span, "${ } stands in values only"))
  else return { name, span }
  return undefined
}

const readMap = (pairs: ReadonlyArray<{ key: unknown; value: unknown }>, span: Span, reading: Reading): Tree => {
  const entries = new Map<string, TreeEntry>()
  for (const pair of pairs) {
    if (reading.findings.length >= mistakes) break
    const key = keyName(pair.key as ParsedNode | null, reading, span)
    if (key === undefined) continue
    const first = entries.get(key.name)
    if (first !== undefined) {
      const label = `${key.name} already stands in line ${lineOf(first.key.start, reading)}`
      reading.findings.push({ code: "V102", message: "duplicate key", span: key.span, label, given: key.name })
      continue
    }
    const value = readNode(pair.value as ParsedNode | null, key.span, reading)
    entries.set(key.name, { key: key.span, value })
  }
  return { _tag: "Map", entries, span }
}

const readNode = (node: ParsedNode | null, near: Span, reading: Reading): Tree => {
  if (node === null || isAlias(node)) return { _tag: "Scalar", value: null, span: near }
  const span = spanOf(node, reading)
  if (isMap(node)) return readMap(node.items, span, reading)
  if (isSeq(node)) return { _tag: "List", items: node.items.map((item) => readNode(item, span, reading)), span }
  const value: unknown = node.value
  if (
    typeof value === "number" &&
    (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
  ) {
    const label = Number.isFinite(value) ? "whole numbers end at 2^53 - 1" : "a number must be finite"
    reading.findings.push(refused("number not allowed", span, label))
  }
  const known = typeof value === "string" || typeof value === "number" || typeof value === "boolean"
  return { _tag: "Scalar", value: known ? value : null, span: span.end > span.start ? span : near }
}

const tooLarge = (text: string): boolean =>
  text.length > yamlLimits.bytes || new TextEncoder().encode(text).length > yamlLimits.bytes

export type ReadTree = { readonly tree: Tree } | { readonly findings: ReadonlyArray<Finding> }

const syntax = (document: Document.Parsed): ReadonlyArray<Finding> =>
  document.errors.map((error) => ({
    code: "V100",
    message: "not YAML",
    span: { start: error.pos[0], end: Math.max(error.pos[1], error.pos[0] + 1) },
    label: error.message.split("\n")[0]!
  }))

/** The document's tree, or every reason why there is none. `text` has no byte order mark any more; lines may end in CR LF. */
export const readTree = (text: string): ReadTree => {
  if (tooLarge(text)) {
    const label = `a pipeline file has at most ${yamlLimits.bytes / 1024} KiB; data belongs in files that nodes name`
    return { findings: [refused("file too large", { start: 0, end: 1 }, label)] }
  }
  const bad = badCharacter(text)
  if (bad !== undefined) return { findings: [bad] }
  const { tokens, findings } = tokenise(masked(text))
  if (findings.length > 0) return { findings }
  const [document, second] = new Composer({
    uniqueKeys: false,
    prettyErrors: false,
    version: "1.2",
    schema: "core"
  }).compose(tokens, true, text.length)
  if (document === undefined || document.contents === null) {
    return {
      findings: [
        { code: "V100", message: "empty file", span: { start: 0, end: 1 }, label: "a pipeline starts with version: 1" }
      ]
    }
  }
  if (second !== undefined) {
    const span = { start: second.range[0], end: second.range[0] + 1 }
    return { findings: [refused("second document", span, "a pipeline file holds one document")] }
  }
  if (document.errors.length > 0) return { findings: syntax(document as Document.Parsed) }
  const reading: Reading = { text, findings: [] }
  const tree = readNode(document.contents as ParsedNode, { start: 0, end: 1 }, reading)
  return reading.findings.length > 0 ? { findings: reading.findings } : { tree }
}
