/**
 * manifest.jsonl: what an artifact holds, one canonical JSON object a line.
 *
 *   {"meta":{...}}                                          what the artifact is: its type, and what its maker adds
 *   {"name","rows","bytes","sha256","schema"}               one line per file, in name order; rows and schema of shards only
 *   {"digest","key"}                                        the seal: sha256 of the lines above, and the task's key
 *
 * The digest is the artifact's identity: equal content, equal digest, whichever task made it. No time, host or path is in it.
 * The key in the seal tells an artifact that was moved to another key's place.
 */
import type { Schema } from "apache-arrow"
import { canonicalJson, keyOf, sha256 } from "./Canonical.ts"
import { DataError } from "./DataError.ts"
import { parseJsonText } from "./Json.ts"
import { defaultLimits } from "./limits.ts"

export const manifestName = "manifest.jsonl"

export interface ManifestFile {
  readonly name: string
  readonly bytes: number
  readonly sha256: string
  /** Rows, where the file is a shard. */
  readonly rows?: number
  /** `schemaHash` of a shard. */
  readonly schema?: string
}

/** A fingerprint of column names, types and metadata. */
export const schemaHash = (schema: Schema): string =>
  keyOf(
    schema.fields.map((field) => ({
      name: field.name,
      type: String(field.type),
      nullable: field.nullable,
      metadata: Object.fromEntries(field.metadata)
    }))
  )

export type Meta = Readonly<Record<string, unknown>>

export interface Manifest {
  readonly key: string
  readonly digest: string
  readonly meta: Meta
  readonly files: ReadonlyArray<ManifestFile>
}

/** The manifest and its text. */
export const makeManifest = (key: string, meta: Meta, files: ReadonlyArray<ManifestFile>) => {
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const body = [{ meta }, ...sorted].map((line) => `${canonicalJson(line)}\n`).join("")
  const digest = sha256(body)
  const manifest: Manifest = { key, digest, meta, files: sorted }
  return { manifest, text: `${body}${canonicalJson({ digest, key })}\n` }
}

/** Reads a manifest back. Throws Corrupted unless it is, byte for byte, what `makeManifest` writes for this key. */
export const parseManifest = (key: string, bytes: Uint8Array, file: string): Manifest => {
  const corrupted = new DataError({ code: "Corrupted", file, detail: "the manifest is damaged" })
  const lines = Buffer.from(bytes).toString("utf8").split("\n").slice(0, -1)
  if (lines.length < 2) throw corrupted
  try {
    const [head, ...files] = lines.slice(0, -1).map((line) => parseJsonText(line, defaultLimits, { file })) as [
      { meta: Meta },
      ...Array<ManifestFile>
    ]
    const { manifest, text } = makeManifest(key, head.meta, files)
    if (text === Buffer.from(bytes).toString("utf8")) return manifest
  } catch {
    throw corrupted
  }
  throw corrupted
}
