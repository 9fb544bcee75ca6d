/**
 * One spelling per value, and its sha256: what cache keys, artifact identities and row ids are made of.
 */
import { hash } from "node:crypto"

const canonical = (value: unknown, path: string): string => {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value)
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${path} is ${value}: JSON has no such number`)
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map((item, i) => canonical(item, `${path}[${i}]`)).join()}]`
  if (typeof value !== "object") throw new TypeError(`${path} is a ${typeof value}: JSON has no such value`)
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonical(field, `${path}.${key}`)}`)
  return `{${fields.join()}}`
}

/**
 * JSON without white space, keys sorted by code unit, fields that are undefined left out (RFC 8785). Throws a TypeError that
 * names the place of a NaN, an infinity, a bigint or a function.
 */
export const canonicalJson = (value: unknown): string => canonical(value, "value")

/** Lower-case hex. A string is hashed as UTF-8. */
export const sha256 = (data: Uint8Array | string): string => hash("sha256", data, "hex")

/** sha256 of the canonical JSON: how every key is made. */
export const keyOf = (value: unknown): string => sha256(canonicalJson(value))
