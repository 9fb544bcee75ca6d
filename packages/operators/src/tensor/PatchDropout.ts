/**
 * Patch dropout: a random subset of each image's patches, drawn anew at every step (Li et al. 2023, "FLIP", section 3).
 *
 *   patches of an image  P   ->   kept  int32 [B, K], ascending in each row, K = P (1 - patch_dropout), at least 1
 *
 * A row's draw hangs on (seed, node, step, its place in the batch) alone, so both passes over a micro-batch look at the same patches.
 */
import type { HostTensor } from "@bootlace/engine"
import { randomKey } from "@bootlace/models"
import { permutation } from "./RowOrder.ts"
import type { StepContext } from "./TensorOperator.ts"

export const keptPatches = (num_patches: number, patch_dropout: number, at: StepContext): HostTensor => {
  const { seed, node, step, first, count } = at
  const K = Math.max(1, Math.round(num_patches * (1 - patch_dropout)))
  const data = new Int32Array(count * K)
  for (let row = 0; row < count; row++) {
    const order = permutation(randomKey(seed, node, "patches", step, first + row), num_patches)
    data.set(order.subarray(0, K).sort(), row * K)
  }
  return { shape: [count, K], dtype: "int32", data }
}
