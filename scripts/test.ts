/**
 * The whole check: types, lint, format, then every test; closes with one plain line `N passed, N failed`.
 *
 *   npm test                      everything
 *   npm test -- packages/graph    only the tests under these paths
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface Step {
  readonly name: string
  readonly command: ReadonlyArray<string>
}

const run = ({ name, command }: Step): boolean => {
  console.log(`\n# ${name}: ${command.join(" ")}`)
  const [program, ...args] = command
  return spawnSync(program!, args, { stdio: "inherit" }).status === 0
}

/** What vitest's JSON reporter says; a run that wrote none has failed as a whole. */
const counts = (file: string): { readonly passed: number; readonly failed: number; readonly skipped: number } => {
  try {
    const report = JSON.parse(readFileSync(file, "utf8")) as {
      readonly numPassedTests: number
      readonly numFailedTests: number
      readonly numPendingTests: number
      readonly numTodoTests: number
    }
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests,
      skipped: report.numPendingTests + report.numTodoTests
    }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

const paths = process.argv.slice(2)
const checks: ReadonlyArray<Step> = [
  { name: "types of the packages", command: ["tsc", "-b"] },
  { name: "types of the tests", command: ["tsc", "-p", "tsconfig.test.json"] },
  { name: "lint", command: ["oxlint", "--type-aware", "--deny-warnings"] },
  { name: "format", command: ["oxfmt", "--check"] }
]
const checked = paths.length > 0 ? [] : checks.map(run)

const scratch = mkdtempSync(join(tmpdir(), "bootlace-test-"))
const report = join(scratch, "report.json")
const tested = run({
  name: "tests",
  command: ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...paths]
})
const tests = counts(report)
rmSync(scratch, { recursive: true })

const passed = tests.passed + checked.filter(Boolean).length
// Vitest can fail without a failed test: an unhandled rejection, a file that does not load.
const failed = tests.failed + checked.filter((ok) => !ok).length + (tested || tests.failed > 0 ? 0 : 1)
console.log(`\n${passed} passed, ${failed} failed${tests.skipped > 0 ? `, ${tests.skipped} skipped` : ""}`)
process.exitCode = failed > 0 ? 1 : 0
