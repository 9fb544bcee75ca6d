/**
 * One spelling per value, and its sha256: what cache keys, artifact identities and row ids are made of.
 */
import { canonicalJson } from "@bootlace/graph"
import { hash } from "node:crypto"

export { canonicalJson }

/** Lower-case hex. A string is hashed as UTF-8. */
export const sha256 = (data: Uint8Array | string): string => hash("sha256", data, "hex")

/** sha256 of the canonical JSON: how every key is made. */
export const keyOf = (value: unknown): string => sha256(canonicalJson(value))
