/** The cases here against PyTorch's numbers, and the runner itself: it must notice what is wrong, and find what is there. */
import { Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import { Effect, Layer } from "effect"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { checkFolder } from "../../scripts/parity/CheckFolder.ts"
import type { Row } from "../../scripts/parity/CheckFolder.ts"
import { findCases } from "../../scripts/parity/FindCases.ts"

const here = import.meta.dirname
const layer = Layer.merge(Files.layer, Engine.onnx({ threads: 1 }))
const check = (folder: string): Promise<ReadonlyArray<Row>> =>
  Effect.runPromise(checkFolder(folder).pipe(Effect.provide(layer)))

const scratch = mkdtempSync(join(tmpdir(), "parity-"))
afterAll(() => rmSync(scratch, { recursive: true }))

let copies = 0
/** A collection of its own with copies of some cases, under names of its own. */
const collectionOf = (cases: Readonly<Record<string, string>>): string => {
  const folder = join(scratch, `collection${++copies}`, "deeper", "numbers")
  mkdirSync(folder, { recursive: true })
  for (const file of ["texts.json", "images.json", "images_decoded_rgb.safetensors"])
    cpSync(join(here, file), join(folder, file))
  symlinkSync(join(here, "images"), join(folder, "images"))
  for (const [name, from] of Object.entries(cases)) cpSync(join(here, from), join(folder, name), { recursive: true })
  return folder
}

const failures = (rows: ReadonlyArray<Row>): ReadonlyArray<string> =>
  rows.filter(({ ok }) => !ok).map((row) => `${row.case} ${row.check}: ${row.worst} ${row.note ?? ""}`)

/** Changes bytes of a file in place. */
const damage = (path: string, change: (bytes: Buffer) => void): void => {
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
}

describe("parity with PyTorch", () => {
  it("holds for every case here", async () => {
    const rows = await check(here)
    expect(failures(rows)).toEqual([])
    expect(rows.length).toBeGreaterThan(1000)
    expect(new Set(rows.map((row) => row.case)).size).toBeGreaterThan(80)
  })

  it("is checked for every kind of case", () => {
    const kinds = findCases(here).map(({ kind }) => kind)
    for (const kind of ["clip", "blip", "siglip", "open_clip", "pretraining", "retrieval"]) expect(kinds).toContain(kind)
    expect(kinds).not.toContain(undefined)
  })
})

describe("the runner", () => {
  it("finds cases by their files, whatever they are called and wherever they lie", async () => {
    const folder = collectionOf({ a: "clip_gelu", b: "blip_pretrain", c: "blip_pretrain_untied" })
    const rows = await check(join(folder, "..", ".."))
    expect(failures(rows)).toEqual([])
    expect(new Set(rows.map((row) => row.case))).toEqual(
      new Set(["images", "deeper/numbers/a", "deeper/numbers/b", "deeper/numbers/c"])
    )
  })

  it("takes one case folder", async () => {
    expect(failures(await check(join(here, "openclip_tiny")))).toEqual([])
  })

  it("fails where a weight, an expectation or a token differs", async () => {
    const folder = collectionOf({ weight: "clip_gelu", loss: "clip_quickgelu", token: "blip_itm" })
    damage(join(folder, "weight", "model.safetensors"), (bytes) => bytes.writeUInt8(0x4c, bytes.length - 1))
    const recipe = join(folder, "loss", "expected_train.json")
    writeFileSync(recipe, readFileSync(recipe, "utf8").replace(/"losses": \[\s*\d/, '"losses": [ 7'))
    const tokens = join(folder, "token", "expected_tokens.json")
    writeFileSync(tokens, readFileSync(tokens, "utf8").replace("205", "206"))
    const failed = (await check(folder)).filter(({ ok }) => !ok)
    expect(failed.filter((row) => row.case === "weight").length).toBeGreaterThan(10)
    expect(failed.filter((row) => row.case === "loss").map((row) => row.check)).toEqual(["loss of step 0"])
    expect(failed.filter((row) => row.case === "token")[0]!.check).toBe("token ids, 21 texts")
  })

  it("fails a folder of an unknown kind, one with nothing to compare, one with a pickle, and none at all", async () => {
    const folder = collectionOf({ flava: "clip_gelu", bare: "clip_gelu", pickled: "clip_gelu" })
    const config = join(folder, "flava", "config.json")
    writeFileSync(config, readFileSync(config, "utf8").replace("CLIPModel", "FlavaModel"))
    for (const name of ["expected_forward.safetensors", "expected_tokens.json", "expected_train.json"])
      rmSync(join(folder, "bare", name))
    renameSync(join(folder, "pickled", "model.safetensors"), join(folder, "pickled", "pytorch_model.bin"))
    mkdirSync(join(folder, "notes"))
    writeFileSync(join(folder, "notes", "readme.txt"), "nothing to see")
    const notes = new Map(failuresByCase(await check(folder)))
    expect(notes.get("flava")).toContain('architectures ["FlavaModel"]')
    expect(notes.get("bare")).toContain("nothing here to compare with")
    expect(notes.get("pickled")).toContain("pytorch_model.bin is a pickle")
    expect(notes.get("notes")).toContain("a folder of no known kind")
    const empty = mkdtempSync(join(scratch, "empty-"))
    expect(failures(await check(empty))).toHaveLength(1)
    expect(failures(await check(join(empty, "missing")))).toHaveLength(1)
  })
})

function failuresByCase(rows: ReadonlyArray<Row>): ReadonlyArray<readonly [string, string]> {
  return rows.filter(({ ok }) => !ok).map((row) => [row.case, row.note ?? ""])
}
