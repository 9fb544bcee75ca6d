/**
 * R30: what is installed is what the lockfile says: every package with its hash, every direct dependency at one exact version,
 * none of their install scripts run, and few of them.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { root } from "../bootlace.ts"
import { figure } from "./torture.ts"

interface Package {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly scripts?: Readonly<Record<string, string>>
}
interface Locked extends Package {
  readonly version?: string
  readonly link?: boolean
  readonly integrity?: string
  readonly hasInstallScript?: boolean
}

const json = <A>(path: string): A => JSON.parse(readFileSync(join(root, path), "utf8")) as A
const lock = json<{ readonly packages: Readonly<Record<string, Locked>> }>("package-lock.json").packages
const rooms = readdirSync(join(root, "packages")).map((name) => `packages/${name}`)

/** Packages that bring an install script. None runs, and nothing needs it: the tests here ran without. */
const withScripts = ["@tensorflow/tfjs-node-gpu", "core-js", "onnxruntime-node"]
const mostDirect = 12

describe("the supply chain", () => {
  it("R30: is locked by hash, runs no install script and is short", () => {
    const installed = Object.entries(lock).filter(([path, { link }]) => path.includes("node_modules/") && link !== true)
    assert.isAbove(installed.length, 50)
    for (const [path, { integrity }] of installed) assert.match(integrity ?? "", /^sha512-/, path)

    const scripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript === true)
    const names = scripts.map(([path]) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length))
    assert.deepStrictEqual([...new Set(names)].sort(), withScripts)
    assert.match(readFileSync(join(root, ".npmrc"), "utf8"), /^ignore-scripts=true$/m)

    const direct = rooms.map((room) => {
      const manifest = json<Package>(`${room}/package.json`)
      const all = { ...manifest.dependencies, ...manifest.optionalDependencies }
      for (const [name, version] of Object.entries(all)) assert.match(version, /^\d+\.\d+\.\d+$/, `${room}: ${name}`)
      assert.notProperty(manifest.scripts ?? {}, "install", room)
      assert.notProperty(manifest.scripts ?? {}, "postinstall", room)
      // npm ci refuses a lockfile that differs from the manifests.
      assert.deepStrictEqual(lock[room]!.dependencies, manifest.dependencies, room)
      assert.deepStrictEqual(lock[room]!.optionalDependencies, manifest.optionalDependencies, room)
      return [room, Object.keys(all).length] as const
    })
    for (const [room, count] of direct) assert.isAtMost(count, mostDirect, room)
    const longest = direct.toSorted(([, a], [, b]) => b - a)[0]!
    figure(
      "R30",
      `${installed.length} packages locked by sha512; at most ${longest[1]} direct dependencies (${longest[0]}); ${names.length} install scripts, 0 run`
    )
  })
})
