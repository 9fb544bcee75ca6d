/**
 * Compares this implementation with numbers that PyTorch gave, for every case folder under a folder.
 *
 *   npm run parity -- test/parity
 *   npm run parity -- test/parity --engine tensorflow    where its library is installed; fails elsewhere
 *   npm run parity -- test/parity --engine webgpu        where there is an adapter
 *
 * One row per check with the worst error and the tolerance, then `N passed, N failed`. What a case folder holds is described in
 * test/parity/MANIFEST.md.
 */
import { Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { EngineError } from "@bootlace/engine"
import { Effect, Layer } from "effect"
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import { checkFolder } from "./parity/CheckFolder.ts"
import type { Row } from "./parity/CheckFolder.ts"

const widths = [34, 62, 8, 8]

const show = (value: number): string => (Number.isInteger(value) ? String(value) : value.toExponential(1))

const print = (row: Row): void => {
  const cells = [row.case, row.check, show(row.worst), show(row.tolerance)].map((cell, i) => cell.padEnd(widths[i]!))
  console.log(`${cells.join(" ")} ${row.ok ? "ok" : `FAILED  ${row.note ?? ""}`.trimEnd()}`)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { engine: { type: "string", default: "onnx" } }
})
const engines: Readonly<Record<string, Layer.Layer<Engine, EngineError>>> = {
  onnx: Engine.onnx({ threads: 1 }),
  tensorflow: Engine.tensorflow(),
  webgpu: Engine.webgpu
}
const [start] = positionals
const engine = engines[values.engine]
if (start === undefined || engine === undefined) {
  console.error("expected a folder and an engine: npm run parity -- test/parity [--engine onnx|tensorflow|webgpu]")
  process.exitCode = 2
} else {
  console.log(["case", "check", "worst", "allowed"].map((cell, i) => cell.padEnd(widths[i]!)).join(" "))
  const layer = Layer.merge(Files.layer, engine)
  const rows = await Effect.runPromise(checkFolder(resolve(start), print).pipe(Effect.provide(layer)))
  const failed = rows.filter(({ ok }) => !ok).length
  console.log(`\n${rows.length - failed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}
