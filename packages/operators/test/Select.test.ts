import { scoreColumn, textColumn } from "@bootlace/data"
import { Select } from "../src/Select.ts"
import { operatorContract } from "./contract.ts"

operatorContract(Select, {
  columns: { caption: textColumn(["a", "b", null, ""]), itc_score: scoreColumn(Float32Array.of(1, 2, 3, Number.NaN)) },
  badConfigs: [{ config: { columns: ["a"] }, names: /columns/ }]
})
