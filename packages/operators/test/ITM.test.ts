import { tensorColumn, textColumn } from "@bootlace/data"
import { ITM } from "../src/ITM.ts"
import { operatorContract } from "./contract.ts"
import { eager, newModel, texts } from "./tinyPairs.ts"

const image_tokens = tensorColumn(
  Float32Array.from({ length: 4 * 5 * 32 }, (_, i) => Math.sin(i)),
  [5, 32]
)

// Its probabilities are compared with PyTorch's in pytorch.test.ts.
operatorContract(ITM, {
  config: { batch_size: 2 },
  artifacts: { model: await newModel("blip") },
  layer: eager,
  columns: { image_tokens, text: textColumn(texts.slice(0, 4)) },
  nulls: { image_tokens, text: textColumn(["a red square", null, "a", ""]) },
  badConfigs: [{ config: { negatives: "easy" }, names: /negatives/ }]
})
