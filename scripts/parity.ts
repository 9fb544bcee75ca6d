/**
 * Compares this implementation with numbers that PyTorch gave, for every case folder under a folder.
 *
 *   npm run parity -- test/parity
 *
 * One row per check with the worst error and the tolerance, then `N passed, N failed`. What a case folder holds is described in
 * test/parity/MANIFEST.md.
 */
import { Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import { Effect, Layer } from "effect"
import { statSync } from "node:fs"
import { resolve } from "node:path"
import { failed, guarded } from "./parity/Check.ts"
import type { Check } from "./parity/Check.ts"
import { findCases } from "./parity/FindCases.ts"
import { decodingChecks } from "./parity/PixelChecks.ts"
import { runCase } from "./parity/RunCase.ts"

const columns = [28, 58, 10, 10]

const number = (value: number): string => (Number.isInteger(value) ? String(value) : value.toExponential(1))

const print = (name: string, { check, worst, tolerance, ok, note }: Check): void => {
  const cells = [name, check, number(worst), number(tolerance)].map((cell, i) => cell.padEnd(columns[i]!))
  console.log(`${cells.join(" ")} ${ok ? "ok" : `FAILED${note === undefined ? "" : `  ${note}`}`}`)
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const all = Effect.fnUntraced(function* (start: string) {
  const cases = isFolder(start) ? findCases(start) : []
  const counts = { passed: 0, failed: 0 }
  const report = (name: string, checks: ReadonlyArray<Check>): void => {
    for (const check of checks) {
      counts[check.ok ? "passed" : "failed"]++
      print(name, check)
    }
  }
  if (cases.length === 0) report(start, [failed("cases", "no case folder found")])
  for (const collection of new Set(cases.flatMap((each) => each.collection ?? [])))
    report("images", yield* guarded("decoded images", decodingChecks(collection)))
  for (const each of cases) report(each.name, yield* runCase(each, cases))
  return counts
})

const start = process.argv[2]
if (start === undefined) {
  console.error("expected a folder: npm run parity -- test/parity")
  process.exitCode = 2
} else {
  const layer = Layer.merge(Files.layer, Engine.onnx({ threads: 1 }))
  const counts = await Effect.runPromise(Effect.scoped(Effect.provide(all(resolve(start)), layer)))
  console.log(`\n${counts.passed} passed, ${counts.failed} failed`)
  process.exitCode = counts.failed > 0 ? 1 : 0
}
