/** Train with `image_size`: a model goes on at another size of its images. */
import { preset } from "@bootlace/models"
import { describe, expect, it } from "vitest"
import { readModel } from "../src/tensor/ModelArtifact.ts"
import { runIn } from "./inMemory.ts"
import { newModel } from "./tinyPairs.ts"
import { history, train } from "./tinyTraining.ts"

const blip = await newModel("blip")
const { image_size, patch_size } = preset("blip", "nano").vision_config
const config = { objectives: ["itc", "itm", "lm"], batch_size: 8, steps: 1 }

describe("image_size", () => {
  it("trains at the size and leaves a model of it", async () => {
    const { model: artifact, files } = await train(blip, { ...config, image_size: 2 * image_size })
    const { model, weights } = await runIn({}, readModel("test", artifact))
    expect(model.preprocess.image_size).toBe(2 * image_size)
    expect(weights["vision_model.embeddings.position_embedding"]!.shape).toEqual([
      1,
      ((2 * image_size) / patch_size) ** 2 + 1,
      model.image_tokens[1]
    ])
    const [first] = history(files)
    for (const loss of ["itc_loss", "itm_loss", "lm_loss"]) expect(Number.isFinite(first![loss])).toBe(true)
  })

  it("that a model has changes nothing", async () => {
    const [same, without] = [await train(blip, { ...config, image_size }), await train(blip, config)]
    expect(history(same.files)[0]!["loss"]).toBeCloseTo(history(without.files)[0]!["loss"]!, 5)
  })

  it("is refused where patches don't cover it", async () => {
    await expect(train(blip, { ...config, image_size: image_size + 1 })).rejects.toThrow(
      /image_size .*patch_size: expected a divisor/
    )
  })
})
