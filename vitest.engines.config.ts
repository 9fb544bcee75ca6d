/**
 * `npm run test:tensorflow`, `npm run test:webgpu`: the engine's parity suites on another engine, which is the mode, and the tests of its executor.
 * They are no part of `npm test`, because they need the library of `bootlace engine install tensorflow`, or a GPU; without it they fail.
 */
import { defineConfig } from "vitest/config"

const suites = ["Kernels", "Training", "GradientCaching", "AdamW", "HeldTensors"]

export default defineConfig(({ mode }) => ({
  test: {
    name: mode,
    env: { BOOTLACE_TEST_ENGINE: mode },
    include: [
      ...suites.map((name) => `packages/engine/test/${name}.test.ts`),
      `packages/engine/test/${mode}/*.engine.ts`
    ],
    testTimeout: 600_000,
    hookTimeout: 600_000
  }
}))
