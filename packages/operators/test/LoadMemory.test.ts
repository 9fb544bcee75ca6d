/**
 * Memory while a model is loaded: at most 1.3 times its weights in float32 and a little for the run, so that no second copy of
 * them fits in. A child process each, since the high-water mark is the whole process's.
 */
import { Files, writeSafetensors } from "@bootlace/data"
import type { TensorData } from "@bootlace/data"
import { modelFromConfig } from "@bootlace/models"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, describe, expect, it } from "vitest"

const config = {
  architectures: ["CLIPModel"],
  model_type: "clip",
  projection_dim: 64,
  text_config: {
    hidden_size: 512,
    intermediate_size: 2048,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    vocab_size: 8000,
    max_position_embeddings: 16,
    eos_token_id: 2
  },
  vision_config: {
    hidden_size: 768,
    intermediate_size: 3072,
    num_hidden_layers: 6,
    num_attention_heads: 12,
    image_size: 32,
    patch_size: 16
  }
}
const folder = mkdtempSync(join(tmpdir(), "bootlace-load-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** All weights are zeros, in one array: what counts is their size. */
const writeModel = async (): Promise<number> => {
  const { shapes, config: whole } = modelFromConfig(config)
  const sizes = Object.values(shapes).map((shape) => shape.reduce((size, side) => size * side, 1))
  const zeros = new Float32Array(Math.max(...sizes))
  const tensors = Object.entries(shapes).map(([name, shape], i): [string, TensorData] => [
    name,
    { dtype: "F32", shape, data: zeros.subarray(0, sizes[i]) }
  ])
  const file = join(folder, "model.safetensors")
  await Effect.runPromise(Effect.provide(writeSafetensors(file, Object.fromEntries(tensors)), Files.layer))
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...(whole as object) }))
  const words = Array.from({ length: 7993 }, (_, i) => `w${i}`)
  writeFileSync(join(folder, "vocab.txt"), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words].join("\n"))
  return 4 * sizes.reduce((sum, size) => sum + size, 0)
}

describe("loading a model", async () => {
  const bytes = await writeModel()
  const spare = 40 * 1024 * 1024

  it("is tried with weights that outweigh what else a load takes", () => {
    expect(2 * bytes).toBeGreaterThan(1.3 * bytes + spare)
  })

  it.each(["checkpoint", "artifact"])("holds the weights once: %s", { timeout: 60_000 }, async (way) => {
    const script = new URL("./processes/LoadsModel.ts", import.meta.url).pathname
    const { stdout } = await promisify(execFile)(process.execPath, [script, way, folder])
    const { grown_bytes, embedded } = JSON.parse(stdout.trim().split("\n").at(-1)!)
    expect(embedded).toEqual([1, 64])
    expect(grown_bytes).toBeGreaterThan(0.8 * bytes)
    expect(grown_bytes).toBeLessThan(1.3 * bytes + spare)
  })
})
