import { flagColumn, scoreColumn, textColumn } from "@bootlace/data"
import { describe, expect, it } from "vitest"
import cases from "./reference/ranking.json" with { type: "json" }
import { BinaryMetrics } from "../src/BinaryMetrics.ts"
import { operatorContract } from "./contract.ts"
import { readJson, rowsOf, runFold, runIn } from "./inMemory.ts"
import type { Columns } from "./inMemory.ts"

const columns = {
  score: scoreColumn(Float32Array.of(0.9, 0.2, 0.6, 0.4)),
  flag: flagColumn([true, false, false, true]),
  subset: textColumn(["dev", "dev", "test", "test"])
}

operatorContract(BinaryMetrics, {
  config: { threshold: 0.5 },
  columns,
  nulls: { ...columns, subset: textColumn([null, "dev", "test", "test"]) },
  badConfigs: [{ config: { threshold: "half" }, names: /threshold/ }]
})

const metricsOf = async (rows: Columns, config: unknown = {}) => {
  const { metrics, files } = await runIn({}, runFold(BinaryMetrics, { config }, [["rows", rowsOf(rows)]]))
  expect(readJson(files, "metrics.json")).toEqual(metrics)
  return metrics
}

describe("BinaryMetrics", () => {
  it.each(cases)("equals scikit-learn on $scores.length rows", async (wanted) => {
    const score = scoreColumn(Float32Array.from(wanted.scores))
    const metrics = await metricsOf({ score, flag: flagColumn(wanted.flags) })
    expect(metrics["auc"]).toBeCloseTo(wanted.roc_auc, 12)
    expect(metrics["average_precision"]).toBeCloseTo(wanted.average_precision, 12)
    expect(metrics["f1"]).toBeCloseTo(wanted.f1, 12)
  })

  it("measures each subset too", async () => {
    const metrics = await metricsOf(columns)
    expect(metrics).toMatchObject({ auc: 0.75, rows: 4, auc_dev: 1, rows_dev: 2, auc_test: 0, precision_test: 0 })
  })

  it("has no AUC where all rows are of one kind", async () => {
    const metrics = await metricsOf({ ...columns, flag: flagColumn([true, true, true, false]) })
    expect(Object.keys(metrics)).not.toContain("auc_dev")
    expect(metrics).toMatchObject({ positives_dev: 2, auc_test: 1, recall_dev: 0.5 })
  })
})
