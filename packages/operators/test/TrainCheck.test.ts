/** What `check` says of a training whose config can't fit the architecture of its model. */
import { readPipeline } from "@bootlace/graph"
import { Effect, Result } from "effect"
import { describe, expect, it } from "vitest"
import { modelFromConfig, preset, presetNames } from "@bootlace/models"
import { operators } from "../src/index.ts"
import { isLinear } from "../src/tensor/Lora.ts"
import { weightNames } from "../src/tensor/WeightNames.ts"

const pipeline = (architecture: string, more: string): string => `version: 1
name: fits
seed: 1
models:
  start: { architecture: ${architecture}, preset: nano, vocabulary: vocabulary }
nodes:
  pairs: { op: ReadPairs, path: data }
  vocabulary: { op: BuildVocabulary, in: { text: pairs.text } }
  train:
    op: Train
    init: start
    in: { pairs: pairs.pairs }
    objectives: [itc]
    steps: 1
    ${more}
`

/** Code and place of each mistake, or nothing. */
const said = (architecture: string, more: string): string => {
  const reading = readPipeline(pipeline(architecture, more), { file: "fits.yaml", registry: operators })
  const result = Effect.runSync(Effect.result(reading))
  return Result.isFailure(result) ? result.failure.message : "fine"
}

describe("names of weights", () => {
  it.each(["clip", "blip", "siglip"] as const)(
    "of %s are those that the models of its presets have",
    (architecture) => {
      const shapes = presetNames(architecture).map((name) => modelFromConfig(preset(architecture, name)).shapes)
      const starts = shapes.flatMap((each) => Object.keys(each).map((name) => name.split(".", 1)[0]!))
      const linear = shapes.flatMap((each) => Object.keys(each).filter((name) => isLinear(each, name)))
      const ends = linear.map((name) => name.split(".").at(-2)!)
      expect(weightNames[architecture].starts.toSorted()).toEqual([...new Set(starts)].toSorted())
      expect(weightNames[architecture].ends.toSorted()).toEqual([...new Set(ends)].toSorted())
    }
  )
})

describe("a training's config", () => {
  it.each([
    ["clip", "freeze: [image]"],
    ["blip", "freeze: [text, vision_model.encoder.layers.3]"],
    ["siglip", "freeze: [text_model]"],
    ["clip", "lora: { targets: [q_proj, layers.1.mlp.fc1] }"],
    ["blip", "lora: { targets: [qkv, query] }"],
    ["clip", "patch_dropout: 0.5"],
    ["blip", "dropout: 0.1"]
  ])("of %s may say %s", (architecture, more) => {
    expect(said(architecture, more)).toBe("fine")
  })

  it.each([
    [
      "clip",
      "freeze: [vision]",
      /error\[V121\].* fits\.yaml:15:5\n[^]*no weight of a clip model is named vision; .*vision_model/
    ],
    [
      "blip",
      "lora: { targets: [q_prj] }",
      /error\[V121\].* fits\.yaml:15:13\n[^]*no linear layer of a blip model is named q_prj/
    ],
    [
      "siglip",
      "patch_dropout: 0.5",
      /error\[V121\][^]*patch_dropout needs an image tower with a class token: clip or blip/
    ],
    ["clip", "dropout: 0.1", /error\[V121\][^]*dropout is that of BLIP's text transformer/]
  ])("of %s may not say %s", (architecture, more, words) => {
    expect(said(architecture, more)).toMatch(words)
  })

  it("has a decay rate for one schedule", () => {
    expect(said("blip", "schedule: epoch_decay\n    lr_decay_rate: 0.85")).toBe("fine")
    expect(said("blip", "lr_decay_rate: 0.85")).toMatch(
      /error\[V121\].* fits\.yaml:15:5\n[^]*the schedule is cosine; only epoch_decay has a rate/
    )
  })

  it("with lora freezes nothing", () => {
    const both = "lora: { rank: 2 }\n    freeze: [image]"
    expect(said("clip", both)).toMatch(/error\[V121\].* fits\.yaml:16:5\n[^]*with lora every weight is frozen/)
  })
})
