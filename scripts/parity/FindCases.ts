/**
 * Finds case folders by looking: what a folder is, its files say.
 *
 *   init.safetensors + expected_train.json              BLIP's pre-training
 *   expected_retrieval.safetensors                      BLIP's losses where rows show the same image
 *   open_clip_config.json                               open_clip
 *   config.json, by its `architectures`                 transformers
 *
 * A folder of another kind is a case too, and fails. A collection's root holds images and texts that serve all cases below.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { basename, dirname, join, relative } from "node:path"

export type Kind = "clip" | "blip" | "siglip" | "open_clip" | "pretraining" | "retrieval"

export interface Case {
  /** Path from where the search began. */
  readonly name: string
  readonly folder: string
  /** Undefined where the files say nothing known, with what they say. */
  readonly kind: Kind | undefined
  readonly reason: string
  /** The nearest folder above with texts.json or images.json. */
  readonly collection: string | undefined
}

const architectures: Readonly<Record<string, Kind>> = {
  CLIPModel: "clip",
  BlipForImageTextRetrieval: "blip",
  BlipForConditionalGeneration: "blip",
  BlipModel: "blip",
  SiglipModel: "siglip"
}

const isCollection = (folder: string): boolean =>
  existsSync(join(folder, "texts.json")) || existsSync(join(folder, "images.json"))

const collectionOf = (folder: string): string | undefined => {
  const above = dirname(folder)
  return isCollection(above) ? above : above === folder ? undefined : collectionOf(above)
}

const architecturesIn = (folder: string): ReadonlyArray<unknown> | undefined => {
  try {
    const config: unknown = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"))
    const named = (config as { readonly architectures?: unknown } | null)?.architectures
    return Array.isArray(named) ? named : []
  } catch {
    return undefined
  }
}

const kindOf = (folder: string, names: ReadonlyArray<string>): readonly [Kind | undefined, string] => {
  if (names.includes("init.safetensors")) {
    return names.includes("expected_train.json")
      ? ["pretraining", ""]
      : [undefined, "init.safetensors without expected_train.json"]
  }
  if (names.includes("expected_retrieval.safetensors")) return ["retrieval", ""]
  if (names.includes("config.json")) {
    const named = architecturesIn(folder)
    if (named === undefined) return [undefined, "config.json is no JSON"]
    const known = named.map((name) => architectures[name as string]).find((kind) => kind !== undefined)
    if (known !== undefined) return [known, ""]
    if (!names.includes("open_clip_config.json"))
      return [undefined, `config.json has architectures ${JSON.stringify(named)}`]
  }
  if (names.includes("open_clip_config.json")) return ["open_clip", ""]
  return [undefined, "none of config.json, open_clip_config.json, init.safetensors and expected_retrieval.safetensors"]
}

const isImages = (folder: string): boolean => basename(folder) === "images" && isCollection(dirname(folder))

/** A folder with one of these is a case, whatever stands below it. */
const tellsOfCase = (name: string): boolean =>
  ["config.json", "open_clip_config.json", "init.safetensors"].includes(name) || name.startsWith("expected_")

export const findCases = (start: string): ReadonlyArray<Case> => {
  const found: Array<Case> = []
  const visit = (folder: string): void => {
    const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."))
    const names = entries.map(({ name }) => name)
    const folders = entries.filter((entry) => entry.isDirectory() && entry.name !== "node_modules")
    if (names.some(tellsOfCase) || (folders.length === 0 && !isCollection(folder) && folder !== start)) {
      if (isImages(folder)) return
      const [kind, reason] = kindOf(folder, names)
      const name = relative(start, folder) || basename(folder)
      found.push({ name, folder, kind, reason, collection: collectionOf(folder) })
      return
    }
    for (const { name } of folders) visit(join(folder, name))
  }
  visit(start)
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
