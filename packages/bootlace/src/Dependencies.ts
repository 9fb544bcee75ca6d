/** Dependencies: the packages of others that a run may load, down to the last, and the versions that are installed. */
import { readFile } from "node:fs/promises"
import { findPackageJSON } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"

interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Undefined where a package isn't installed: one for another system. */
const manifestOf = (name: string, reader: string): string | undefined => {
  try {
    return findPackageJSON(name, pathToFileURL(reader))
  } catch {
    return undefined
  }
}

/** By name, in its order; `1.2.0, 1.3.1` where two versions of a package are installed. Our own rooms are not among them. */
export const installedVersions = async (): Promise<Readonly<Record<string, string>>> => {
  const found = new Map<string, Set<string>>()
  const manifests = new Set([fileURLToPath(new URL("../package.json", import.meta.url))])
  // The set grows while it is gone through.
  for (const file of manifests) {
    const manifest = JSON.parse(await readFile(file, "utf8")) as Manifest
    const { name, version, dependencies, optionalDependencies } = manifest
    if (name !== "bootlace" && !name.startsWith("@bootlace/"))
      found.set(name, (found.get(name) ?? new Set()).add(version))
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const next = manifestOf(needed, file)
      if (next !== undefined) manifests.add(next)
    }
  }
  const names = [...found.keys()].sort()
  return Object.fromEntries(names.map((name) => [name, [...found.get(name)!].sort().join(", ")]))
}
