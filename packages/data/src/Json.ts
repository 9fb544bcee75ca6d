/**
 * JSON from a stranger: size and depth are limited, a key that stands twice in one object is an error (JSON.parse would keep
 * the last and say nothing), and bytes that are no UTF-8 are an error.
 */
import { blame, DataError } from "./DataError.ts"
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

const quote = 0x22
const backslash = 0x5c

/** Where the string that opens at `at` ends, past its quote; the text's end when it doesn't. */
const stringEnd = (text: string, at: number): number => {
  for (let i = at + 1; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === backslash) i += 1
    else if (c === quote) return i + 1
  }
  return text.length
}

const nextIsColon = (text: string, at: number): boolean => {
  let i = at
  while (" \t\r\n".includes(text[i] ?? ":")) i += 1
  return text[i] === ":"
}

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
      const end = stringEnd(text, at)
      const keys = open.at(-1)
      if (keys !== undefined && nextIsColon(text, end)) {
        const raw = text.slice(at, end)
        const key = raw.includes("\\") ? JSON.stringify(JSON.parse(raw)) : raw
        if (keys.has(key)) throw new DataError({ code: "BadJson", ...where, detail: `key ${key} stands twice` })
        keys.add(key)
      }
      at = end - 1
    }
  }
}

/** Parses one JSON document of a text that is decoded already. Throws BadJson or OverLimit. */
export const parseJsonText = (text: string, limits: Limits, where: Where): unknown => {
  try {
    checkNesting(text, limits, where)
    return JSON.parse(text)
  } catch (cause) {
    throw blame({ code: "BadJson", ...where }, cause)
  }
}

/** Parses one JSON document. Throws BadJson, BadText or OverLimit. */
export const parseJson = (bytes: Uint8Array, limits: Limits, where: Where): unknown => {
  const tooLong = overLimit(limits, "json_bytes", bytes.length, where)
  if (tooLong !== undefined) throw tooLong
  return parseJsonText(decodeUtf8(bytes, where), limits, where)
}
