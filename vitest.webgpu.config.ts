/** `npm run test:webgpu`: the engine's parity suites on a GPU through WebGPU. They are no part of `npm test`, because they need an adapter. */
import { defineConfig } from "vitest/config"

const suites = ["Kernels", "Training", "GradientCaching", "AdamW", "HeldTensors"]

export default defineConfig({
  test: {
    name: "webgpu",
    env: { BOOTLACE_TEST_ENGINE: "webgpu" },
    include: [
      ...suites.map((name) => `packages/engine/test/${name}.test.ts`),
      "packages/engine/test/webgpu/*.adapter.ts"
    ],
    testTimeout: 600_000,
    hookTimeout: 600_000
  }
})
