/**
 * `npm run test:tensorflow`: the engine's parity suites on TensorFlow, and the tests of its executor. They are no part of `npm test`, because
 * they need the library of `bootlace engine install tensorflow`; without it they fail.
 */
import { defineConfig } from "vitest/config"

const suites = ["Kernels", "Training", "GradientCaching", "AdamW", "HeldTensors"]

export default defineConfig({
  test: {
    name: "tensorflow",
    env: { BOOTLACE_TEST_ENGINE: "tensorflow" },
    include: [
      ...suites.map((name) => `packages/engine/test/${name}.test.ts`),
      "packages/engine/test/tensorflow/*.library.ts"
    ],
    testTimeout: 600_000,
    hookTimeout: 600_000
  }
})
