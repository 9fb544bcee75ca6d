/**
 * JSON from a stranger: size and depth are limited, a key that stands twice in one object is an error (JSON.parse would keep
 * the last and say nothing), and bytes that are no UTF-8 are an error.
 */
import { DataError } from "./DataError.ts"
import { overLimit } from "./limits.ts"
import type { Limits, Where } from "./limits.ts"

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** Strict UTF-8; a byte order mark is dropped. Throws BadText. */
export const decodeUtf8 = (bytes: Uint8Array, where: Where): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new DataError({ code: "BadText", ...where, detail: "bytes are not UTF-8" })
  }
}

const stringToken = /"(?:[^"\\]|\\.)*"/y

/** Walks the tokens of a text that JSON.parse will judge, for the two things that JSON.parse lets pass. */
const checkNesting = (text: string, limits: Limits, where: Where): void => {
  const open: Array<Set<string> | undefined> = []
  for (let at = 0; at < text.length; at++) {
    const c = text[at]
    if (c === "{" || c === "[") {
      open.push(c === "{" ? new Set() : undefined)
      const tooDeep = overLimit(limits, "json_depth", open.length, where)
      if (tooDeep !== undefined) throw tooDeep
    } else if (c === "}" || c === "]") {
      open.pop()
    } else if (c === '"') {
      stringToken.lastIndex = at
      const token = stringToken.exec(text)?.[0]
      if (token === undefined) return
      at += token.length - 1
      const keys = open.at(-1)
      if (keys === undefined || !/^\s*:/.test(text.slice(at + 1, at + 64))) continue
      if (keys.has(token)) throw new DataError({ code: "BadJson", ...where, detail: `key ${token} stands twice` })
      keys.add(token)
    }
  }
}

/** Parses one JSON document. Throws BadJson, BadText or OverLimit. */
export const parseJson = (bytes: Uint8Array, limits: Limits, where: Where): unknown => {
  const tooLong = overLimit(limits, "json_bytes", bytes.length, where)
  if (tooLong !== undefined) throw tooLong
  const text = decodeUtf8(bytes, where)
  checkNesting(text, limits, where)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new DataError({ code: "BadJson", ...where, detail: (cause as Error).message })
  }
}
