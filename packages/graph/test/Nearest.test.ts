import { describe, expect, it } from "vitest"
import { nearest } from "../src/Nearest.ts"

describe("nearest", () => {
  it.each([
    ["imgae", ["text", "image"], "image"],
    ["Captoiner", ["Captioner", "Filter"], "Captioner"],
    ["CAPTIONER", ["Captioner"], "Captioner"],
    ["img", ["text", "image"], "image"],
    ["vocab", ["vocabulary"], "vocabulary"],
    ["integer", ["int", "number"], "int"],
    ["a", ["b"], "b"],
    ["web", ["webs", "wet"], "webs"],
    ["photos", ["image", "text"], undefined],
    ["", ["image"], undefined],
    ["x".repeat(100_000), ["x".repeat(99_999)], undefined]
  ])("%s of %j is %s", (given, known, expected) => expect(nearest(given, known)).toBe(expected))
})
