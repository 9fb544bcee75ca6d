import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { withWheel } from "../../src/tensorflow/install/Wheel.ts"
import { zip } from "./WriteZip.ts"

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "bootlace-wheel-"))))
afterAll(() => rmSync(folder, { recursive: true }))

const files = [
  { name: "a/plain.txt", content: "as it is", stored: true },
  { name: "a/packed.txt", content: "packed ".repeat(1000) },
  { name: "a/METADATA", content: "Name: a\n" }
]
const written = (bytes: Uint8Array): string => {
  const file = join(folder, "a.whl")
  writeFileSync(file, bytes)
  return file
}
const extractAll = (bytes: Uint8Array, to: string) =>
  withWheel(written(bytes), async (wheel) => {
    for (const [index, entry] of wheel.entries.entries()) await wheel.extract(entry, join(to, String(index)))
    return wheel.entries.map(({ name }) => name)
  })

describe("a wheel", () => {
  it("gives its files, stored and deflated", async () => {
    const to = join(folder, "out")
    expect(await extractAll(zip(files), to)).toEqual(files.map(({ name }) => name))
    files.forEach(({ content }, index) => expect(readFileSync(join(to, String(index)), "utf8")).toBe(content))
    const text = await withWheel(written(zip(files)), (wheel) => wheel.text(wheel.entries[2]!))
    expect(text).toBe("Name: a\n")
  })

  it("writes where the caller says, whatever an entry is called", async () => {
    const to = join(folder, "safe")
    expect(await extractAll(zip([{ name: "../../escaped", content: "x" }]), to)).toEqual(["../../escaped"])
    expect(readdirSync(to)).toEqual(["0"])
    expect(existsSync(join(folder, "..", "escaped"))).toBe(false)
  })

  it("refuses a changed or cut one, and leaves no file under its final name", async () => {
    const good = zip(files)
    let runs = 0
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, by, cut) => {
        const bytes = cut ? good.subarray(0, at) : Uint8Array.from(good, (byte, i) => (i === at ? byte ^ by : byte))
        const to = join(folder, `changed ${runs++}`)
        const read = await extractAll(bytes, to).catch((error: unknown) => error)
        if (read instanceof Error) return
        // A byte that says nothing of a content (times, attributes, a name) may change; contents may not.
        files.forEach(({ content }, index) => expect(readFileSync(join(to, String(index)), "utf8")).toBe(content))
      }),
      { numRuns: 60, seed: 11 }
    )
  })

  it("says what is wrong", async () => {
    await expect(extractAll(Buffer.from("no zip"), folder)).rejects.toThrow("it has no end record")
    const broken = zip(files)
    broken[45] = broken[45]! ^ 1
    await expect(extractAll(broken, join(folder, "broken"))).rejects.toThrow("a/plain.txt fails its checksum")
  })
})
