/**
 * Makes the cpu backend of tfjs fit for training in tests. Registers tfjs-core's gradients, which its CommonJS bundle leaves out. They lie in dist/ as ES modules whose imports
 * have no file endings, so Node needs a resolve hook. Engine and registries are global: both copies share them.
 */
import { existsSync } from "node:fs"
import { registerHooks } from "node:module"
import "@tensorflow/tfjs-backend-cpu"
import type { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { fileURLToPath } from "node:url"

const hooks = registerHooks({
  resolve(specifier, context, nextResolve) {
    if (specifier.startsWith(".") && context.parentURL?.includes("/@tensorflow/tfjs-core/dist/")) {
      const file = new URL(`${specifier}.js`, context.parentURL)
      const index = new URL(`${specifier}/index.js`, context.parentURL)
      if (existsSync(fileURLToPath(file))) return nextResolve(file.href, context)
      if (existsSync(fileURLToPath(index))) return nextResolve(index.href, context)
    }
    return nextResolve(specifier, context)
  }
})
const gradients = new URL("./register_all_gradients.js", import.meta.resolve("@tensorflow/tfjs-core"))
await import(/* @vite-ignore */ gradients.href)
hooks.deregister()

// The backend's own kernel compares every segment with every row; the gradient of an embedding takes seconds that way.
tf.unregisterKernel("UnsortedSegmentSum", "cpu")
tf.registerKernel({
  kernelName: "UnsortedSegmentSum",
  backendName: "cpu",
  kernelFunc: ({ inputs, attrs, backend }) => {
    const [x, segmentIds] = [inputs["x"]!, inputs["segmentIds"]!]
    const cpu = backend as MathBackendCPU
    const rows = cpu.data.get(x.dataId).values as Float32Array
    const ids = cpu.data.get(segmentIds.dataId).values as Int32Array
    const width = rows.length / ids.length
    const shape = [attrs!["numSegments"] as number, ...x.shape.slice(segmentIds.shape.length)]
    const sums = new Float32Array(shape.reduce((product, size) => product * size, 1))
    ids.forEach((id, row) => {
      for (let column = 0; column < width; column++) sums[id * width + column]! += rows[row * width + column]!
    })
    return cpu.makeTensorInfo(shape, "float32", sums)
  }
})
