import { assert, describe, it } from "vitest"
import { atImageSize, resizeGrid } from "../src/ImageSize.ts"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import { preset } from "../src/Presets.ts"
import { maxDifference } from "./Close.ts"

/** torch 2.15.0: F.interpolate(grid, size, mode="bicubic", align_corners=False) of sin(1.3 i) as [g, g, 2]. */
const interpolated: ReadonlyArray<readonly [number, number, ReadonlyArray<number>]> = [
  [
    3,
    5,
    [
      -0.166931, 1.189209, 0.310405, 0.304311, 0.644461, -0.680641, -0.313911, -0.300608, -1.167297, 0.219923, 0.497012,
      0.958746, 0.296177, 0.074033, -0.021766, -0.815024, -0.296059, -0.069599, -0.451951, 0.728598, 1.173875, 0.422882,
      0.200056, -0.226272, -0.827826, -0.761984, -0.195553, 0.230417, 0.539974, 1.154652, 0.651356, -0.545053,
      -0.100468, -0.295388, -0.788074, 0.069597, 0.104755, 0.29501, 0.980193, 0.400966, 0.080382, -1.220388, -0.325155,
      -0.287628, -0.583426, 0.736822, 0.328329, 0.283619, 1.127484, -0.305055
    ]
  ],
  [4, 2, [0.108918, 0.235713, -0.237888, -0.029767, 0.097308, -0.18586, 0.177586, 0.203736]],
  [
    2,
    6,
    [
      0.057754, 1.251869, 0.098162, 1.046718, 0.21265, 0.465457, 0.347342, -0.218379, 0.46183, -0.79964, 0.502238,
      -1.004791, -0.057278, 1.147039, 0.0, 0.963558, 0.162287, 0.443697, 0.353214, -0.167905, 0.515501, -0.687766,
      0.572779, -0.871247, -0.383202, 0.85002, -0.278124, 0.727939, 0.019594, 0.382042, 0.369851, -0.024894, 0.66757,
      -0.37079, 0.772647, -0.492871, -0.766642, 0.500586, -0.60533, 0.45074, -0.14828, 0.309508, 0.389425, 0.143354,
      0.846475, 0.002122, 1.007786, -0.047724, -1.092566, 0.203567, -0.883455, 0.21512, -0.290974, 0.247854, 0.406062,
      0.286364, 0.998543, 0.319098, 1.207654, 0.330651, -1.207597, 0.098737, -0.981616, 0.13196, -0.341336, 0.226093,
      0.411934, 0.336839, 1.052214, 0.430972, 1.278195, 0.464196
    ]
  ]
]

describe("a model at another image size", () => {
  it.each(interpolated)("resizes a grid of %i to %i as PyTorch does", (from, to, expected) => {
    const grid = Float32Array.from({ length: from * from * 2 }, (_, i) => Math.sin(1.3 * i))
    assert.isAtMost(maxDifference(resizeGrid(grid, 2, from, to), expected), 2e-6)
  })

  it.each(["clip", "blip", "siglip"] as const)("of %s keeps everything but the grid of positions", (architecture) => {
    const model = modelFromConfig(preset(architecture, "nano", { vocab_size: 20 }))
    const { image_size } = model.preprocess
    const larger = atImageSize(model, 2 * image_size)
    assert.strictEqual(larger.model.preprocess.image_size, 2 * image_size)
    const changed = Object.keys(model.shapes).filter(
      (name) => String(larger.model.shapes[name]) !== String(model.shapes[name])
    )
    assert.deepStrictEqual(changed, [larger.positions])
    const positions = Float32Array.from({ length: model.image_tokens[0] * model.image_tokens[1] }, (_, i) =>
      Math.sin(i)
    )
    assert.isAtMost(maxDifference(atImageSize(model, image_size).resize(positions), positions), 1e-6)
    const resized = larger.resize(positions)
    assert.strictEqual(resized.length, larger.model.image_tokens[0] * larger.model.image_tokens[1])
    // SigLIP has no class token, and leaves out what no whole patch covers.
    if (architecture === "siglip") return
    const width = model.image_tokens[1]
    assert.deepStrictEqual(resized.subarray(0, width), positions.subarray(0, width))
    assert.throws(() => atImageSize(model, image_size + 1), /patch_size/)
  })
})
