import { Engine } from "@bootlace/engine"
import type { Executor } from "@bootlace/engine"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import type { RunPrecision } from "../src/Invocation.ts"
import { engineMachinery } from "../src/Machinery.ts"

const numericsOf = (engine: Executor["name"], precision: RunPrecision) =>
  Engine.pipe(
    Effect.map(({ numerics }) => numerics),
    Effect.provide(engineMachinery({ engine, threads: 1, precision })),
    Effect.scoped
  )

describe("the engine of a run", () => {
  it.each([
    ["onnx", "fp32", / fp32$/],
    ["onnx", "int8", / int8 \(\d+\)$/],
    ["eager", "fp32", / fp32$/]
  ] as const)("%s computes in %s, and says so", async (engine, precision, said) => {
    expect(await Effect.runPromise(numericsOf(engine, precision))).toMatch(said)
  })

  it.each([
    ["onnx", "bf16", "fp32 or int8"],
    ["tensorflow", "int8", "fp32 or bf16"],
    ["eager", "int8", "fp32"]
  ] as const)("%s refuses %s", async (engine, precision, others) => {
    const failure = await Effect.runPromise(Effect.flip(numericsOf(engine, precision)))
    expect(String((failure as Error).message)).toContain(
      `--precision ${precision} doesn't go with --engine ${engine}, which computes in ${others}`
    )
  })
})
