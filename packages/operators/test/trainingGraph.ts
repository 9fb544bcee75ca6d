/** What a plan holds of a Train node, for tests that need no plan. */
import type { PlanNode, TrainingGraph } from "@bootlace/graph"
import { Effect } from "effect"
import { ImageEncoder } from "../src/ImageEncoder.ts"
import { ITC } from "../src/ITC.ts"
import { ITM } from "../src/ITM.ts"
import { LMDecoder } from "../src/LMDecoder.ts"
import { TextEncoder } from "../src/TextEncoder.ts"
import { Train } from "../src/Train.ts"
import { decodeConfig } from "./inMemory.ts"

const operators = { ImageEncoder, TextEncoder, ITC, ITM, LMDecoder }

/** The training graph of a Train node with these objectives, and the config that is left. `itc`: more for the node itc. */
export const trainingGraph = async (
  config: object,
  itc: object = {}
): Promise<{ graph: TrainingGraph; config: object }> => {
  const spec = Train.rewrite!({ op: "Train", in: {}, config: config as never })!.nodes["train"]!
  const nodes = await Promise.all(
    Object.entries(spec.graph!).map(async ([id, node]): Promise<PlanNode> => {
      const operator = operators[node.op as keyof typeof operators]
      const inputs = Object.entries(node.in).map(([input, reference]) => {
        const [from = "", column = ""] = (reference as string).split(".")
        const type = (operator.training!.inputs as Readonly<Record<string, unknown>>)[input] as never
        return [input, [{ _tag: "Column" as const, node: from, column, type }]]
      })
      return {
        id,
        operator,
        config: await Effect.runPromise(
          decodeConfig(operator, id === "itc" ? { ...node.config, ...itc } : node.config)
        ),
        encodedConfig: node.config,
        inputs: Object.fromEntries(inputs),
        ports: {},
        columns: {},
        artifacts: {},
        axes: {},
        seed: 5,
        persist: false,
        on_bad_row: { action: "reject", budget: 0 }
      }
    })
  )
  const minimize = (spec.minimize as ReadonlyArray<string>).map((reference) => {
    const [node = "", output = ""] = reference.split(".")
    return { node, output, weight: 1 }
  })
  return { graph: { nodes, minimize }, config: spec.config }
}
