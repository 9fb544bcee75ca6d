/**
 * Count check: at the end of a run the rows of every node must add up over all its shards, as the manifests have them.
 *
 *   every port          rows counted = rows of its files
 *   source              rows in = rows of each port + rejected
 *   map, route          rows in = rows of all ports + rejected
 *   map, route, expand  rows in = rows of the row set that it reads; fewer where it reads maps, which may have rejected some
 */
import type { CommittedArtifact } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { NodeRecord, PlanNode } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import type { Layout } from "./Layout.ts"
import type { Recorder } from "./Recorder.ts"
import { countsOf } from "./TaskOutput.ts"

type Records = Readonly<Record<string, NodeRecord>>

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)

const filesDisagree = (artifacts: ReadonlyArray<CommittedArtifact>): string | undefined => {
  const counted = sum(artifacts.map((artifact) => countsOf(artifact).rows))
  const stored = sum(artifacts.flatMap(({ files }) => files.map(({ rows }) => rows ?? 0)))
  return counted === stored ? undefined : `${counted} rows are counted, its files hold ${stored}`
}

const outDisagrees = (node: PlanNode, { rows_in, rows_out, rejected, ports }: NodeRecord): string | undefined => {
  const { kind } = node.operator
  const outs = kind === "source" ? Object.entries(ports) : kind === "expand" ? [] : [["its ports", rows_out] as const]
  const odd = outs.find(([, rows]) => rows + rejected !== rows_in)
  if (odd === undefined) return undefined
  const [port, rows] = odd
  return `${rows_in} rows came in, but ${rows} went out (${port}) and ${rejected} were rejected: together ${rows + rejected}`
}

/** Nothing to say of a source, which reads no row set. */
const inDisagrees = (layout: Layout, node: PlanNode, records: Records): string | undefined => {
  if (node.rowSet === undefined) return undefined
  const { owner, port } = layout.rowSet(node.rowSet)
  const { rows_in } = records[node.id]!
  const rows = records[owner.id]!.ports[port]!
  const wires = Object.values(node.inputs).flat()
  const readsMaps = wires.some((wire) => wire._tag === "Column" && layout.origin(wire).map !== undefined)
  if (readsMaps ? rows_in <= rows : rows_in === rows) return undefined
  return `${rows_in} rows came in, but ${owner.id}.${port} has ${rows}`
}

/** Fails with R426, naming the node and both figures. */
export const checkCounts = (layout: Layout, recorder: Recorder): Effect.Effect<void, NodeError> =>
  Effect.suspend(() => {
    const records = recorder.nodes
    for (const node of layout.plan.nodes) {
      if (!["source", "map", "route", "expand"].includes(node.operator.kind)) continue
      const artifacts = recorder.tasksOf(node).flatMap((task) => Object.values(task))
      const detail =
        filesDisagree(artifacts) ?? outDisagrees(node, records[node.id]!) ?? inDisagrees(layout, node, records)
      if (detail === undefined) continue
      const keys = artifacts.map(({ key }) => key.slice(0, 12)).join(", ")
      const hint = `what the store has of it is not to be trusted: remove artifacts ${keys} and run again`
      return Effect.fail(new NodeError({ code: "R426", node: node.id, detail, hint }))
    }
    return Effect.void
  })
