/** Mistaken and hostile files: each `cases/*.yaml` fails with exactly the text of the `.txt` beside it. Adding a case is adding a file. */
import { Effect, Result } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { type Plan, readPipeline } from "../src/index.ts"
import { registry } from "./operators.ts"

const folder = join(import.meta.dirname, "cases")
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"))

const read = (text: string, file = "case.yaml", set: Readonly<Record<string, string>> = {}) =>
  Effect.runSync(Effect.result(readPipeline(text, { file, registry, set })))

const planned = (text: string, set?: Readonly<Record<string, string>>): Plan => {
  const result = read(text, "case.yaml", set)
  if (Result.isFailure(result)) throw result.failure
  return result.success
}
const failure = (text: string, set?: Readonly<Record<string, string>>): string => {
  const result = read(text, "case.yaml", set)
  return Result.isFailure(result) ? result.failure.message : "no error"
}

describe("mistaken and hostile files", () => {
  it("are at least forty", () => expect(files.length).toBeGreaterThan(40))

  it.each(files)("%s", async (name) => {
    const result = read(readFileSync(join(folder, name), "utf8"), name)
    expect(Result.isFailure(result)).toBe(true)
    if (Result.isSuccess(result)) return
    await expect(`${result.failure.message}\n`).toMatchFileSnapshot(join(folder, name.replace(/yaml$/, "txt")))
  })
})
export { planned, failure }
