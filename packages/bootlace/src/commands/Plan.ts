/** `bootlace plan`: per node whether it is cached or will run, why, and what it took last time. */
import type { Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { Executor } from "@bootlace/engine"
import { printPipeline, specOf } from "@bootlace/graph"
import type { LoadedModels } from "@bootlace/operators"
import { duration } from "@bootlace/report"
import { explainPlan } from "@bootlace/runtime"
import type { NodePlan } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import type { PipelineOptions, RunPrecision } from "../Invocation.ts"
import { loadPipeline } from "../LoadPipeline.ts"
import type { LoadedPipeline } from "../LoadPipeline.ts"
import { machinery } from "../Machinery.ts"
import { note, out } from "../Screen.ts"
import { table } from "../Table.ts"

export interface PlanCommand extends PipelineOptions {
  readonly store: string
  readonly engine: Executor["name"]
  readonly precision: RunPrecision
  readonly threads: number | undefined
  readonly expand: boolean
  readonly json: boolean
}

/** `3 of 8 shards cached`; folds and trains have no shards. */
const statusText = ({ status, shards, cached }: NodePlan): string => {
  if (shards.length > 0 && status === "part") return `${cached} of ${shards.length} shards cached`
  const many = shards.length > 1 ? `, ${shards.length} shards` : ""
  return `${status === "run" ? "will run" : "cached"}${many}`
}

const planTable = (nodes: ReadonlyArray<NodePlan>): string =>
  table(
    [
      { title: "node" },
      { title: "operator" },
      { title: "state" },
      { title: "rows", align: "right" },
      { title: "last time", align: "right" },
      { title: "why" }
    ],
    nodes.map((node) => [
      node.node,
      node.op,
      statusText(node),
      node.rows === undefined ? "" : String(node.rows),
      node.seconds === undefined ? "" : duration(node.seconds),
      node.why.slice(0, 2).join("; ")
    ])
  )

/** What is left to do, as far as the last run tells. */
const estimate = (nodes: ReadonlyArray<NodePlan>): string => {
  const open = nodes.filter((node) => node.status !== "cached")
  if (open.length === 0) return "everything is cached"
  const seconds = open.reduce((sum, node) => sum + (node.seconds ?? 0), 0)
  const unknown = open.filter((node) => node.seconds === undefined).length
  const known = seconds > 0 ? `, about ${duration(seconds)}` : ""
  return `${open.length} of ${nodes.length} nodes will run${known}${unknown > 0 ? ` (${unknown} never timed)` : ""}`
}

const show = Effect.fnUntraced(function* ({ plan, directory }: LoadedPipeline, json: boolean) {
  const executor = yield* Engine
  const nodes = yield* explainPlan<Engine | LoadedModels | Files>(plan, {
    directory,
    numerics: executor.numerics,
    engine: executor.name
  })
  if (json) return yield* out(JSON.stringify({ pipeline: plan.name, plan: plan.hash, nodes }))
  yield* out(planTable(nodes))
  yield* note(estimate(nodes))
})

export const plan = Effect.fnUntraced(function* (options: PlanCommand) {
  const loaded = yield* loadPipeline(options)
  if (options.expand) return yield* out(printPipeline(specOf(loaded.plan)))
  yield* show(loaded, options.json).pipe(Effect.provide(machinery(options)))
})
