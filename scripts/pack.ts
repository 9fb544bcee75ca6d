/**
 * Writes the tarballs that would be published, with built JavaScript (Node strips no types under node_modules), into
 * dist/tarballs, and has publint check each.
 *
 *   npm run pack
 */
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { publint } from "publint"
import { formatMessage } from "publint/utils"

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string>>
  readonly [key: string]: unknown
}

const root = join(import.meta.dirname, "..")
const tarballs = join(root, "dist", "tarballs")
const stages = join(root, "dist", "stage")

/** `./src/x.ts` in the checkout, `./dist/x.js` and its types in the tarball. */
const built = (target: string) => {
  const path = target.replace("./src/", "./dist/").replace(/\.ts$/, "")
  return target.endsWith(".ts") ? { types: `${path}.d.ts`, default: `${path}.js` } : target
}

const stage = (room: string): string => {
  const from = join(root, "packages", room)
  const to = join(stages, room)
  mkdirSync(to, { recursive: true })
  const manifest = JSON.parse(readFileSync(join(from, "package.json"), "utf8")) as Manifest
  const published = {
    ...manifest,
    exports: Object.fromEntries(Object.entries(manifest.exports).map(([path, target]) => [path, built(target)]))
  }
  writeFileSync(join(to, "package.json"), `${JSON.stringify(published, null, 2)}\n`)
  cpSync(join(from, "dist"), join(to, "dist"), { recursive: true, filter: (path) => basename(path) !== ".tsbuildinfo" })
  for (const extra of ["bin", "README.md"].map((name) => join(from, name))) {
    if (existsSync(extra)) cpSync(extra, join(to, basename(extra)), { recursive: true })
  }
  for (const legal of ["LICENSE", "NOTICE"]) cpSync(join(root, legal), join(to, legal))
  return to
}

rmSync(join(root, "dist"), { recursive: true, force: true })
mkdirSync(tarballs, { recursive: true })
execFileSync("tsc", ["-b"], { cwd: root, stdio: "inherit" })

let problems = 0
for (const room of readdirSync(join(root, "packages"))) {
  const folder = stage(room)
  execFileSync("npm", ["pack", folder, "--pack-destination", tarballs, "--silent"], { cwd: root, stdio: "inherit" })
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>
  const { messages } = await publint({ pkgDir: folder, level: "warning" })
  for (const message of messages) console.error(`${room}: ${formatMessage(message, manifest)}`)
  problems += messages.length
}
process.exitCode = problems > 0 ? 1 : 0
