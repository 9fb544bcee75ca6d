/** One text per JSON value: keys sorted by code unit, no blanks. What hashes are taken of. */
import { createHash } from "node:crypto"

/** Undefined properties count as absent. Numbers must be finite: JSON has no spelling for the others. */
export const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError(`no JSON for the number ${value}`)
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`
}

/** Lower-case hex. */
export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")
