/** Makes the cpu backend of tfjs fit for training in tests: gradients, which tfjs-core's bundle for Node leaves out, and a scatter. */
import "@tensorflow/tfjs"
import type { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"

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
