/**
 * Explain: what running a plan would do, and why. Sources are opened and checkpoint folders hashed for what keys hang on; nothing else is opened,
 * read or written.
 */
import { ArtifactStore } from "@bootlace/data"
import type { ArtifactStoreShape, CommittedArtifact, Files } from "@bootlace/data"
import type { NodeError, Plan, PlanNode, RunRecord } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import { storing } from "./Guard.ts"
import type { KeyParts, Keys } from "./Keys.ts"
import { wiresOf } from "./Layout.ts"
import { keysOf, openSources, planLayout } from "./Run.ts"
import type { RunOptions } from "./Run.ts"
import { lastRun, readKeys } from "./RunFolder.ts"
import type { RunKeys } from "./RunFolder.ts"
import { defaultSettings } from "./Session.ts"

export interface NodePlan {
  readonly node: string
  readonly op: string
  /** `part`: some of its shards. A union computes nothing and counts as cached. */
  readonly status: "cached" | "part" | "run"
  /** Tasks of the node, and how many of them are in the store; 1 for a fold or train, 0 while it isn't known yet. */
  readonly tasks: number
  readonly cached: number
  /** Each of them by its shard's key, in order; none for a fold or train. */
  readonly shards: ReadonlyArray<{ readonly shard: string; readonly cached: boolean }>
  /** What has changed since the pipeline's last run, or what has to run first; empty for a cached node. */
  readonly why: ReadonlyArray<string>
  /** From the pipeline's last run. */
  readonly rows?: number
  readonly seconds?: number
}

const isKey = (value: unknown): boolean => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)

const leaves = (value: unknown, path: string): ReadonlyArray<readonly [string, unknown]> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, inner]) => leaves(inner, path === "" ? name : `${path}.${name}`))
    : [[path, value]]

/** Keys are told apart by their beginning. */
const brief = (value: unknown): string => (isKey(value) ? String(value).slice(0, 12) : JSON.stringify(value))

/** What a key is made of, one value a line. */
export const keyLeaves = (parts: KeyParts): ReadonlyArray<readonly [string, unknown]> => leaves(parts, "")

/** Sentences of what differs between what two keys are made of. */
export const keyDifferences = (before: KeyParts, now: KeyParts): ReadonlyArray<string> => {
  const old = new Map(keyLeaves(before))
  const fresh = new Map(keyLeaves(now))
  return [...new Set([...old.keys(), ...fresh.keys()])].flatMap((path) => {
    const [a, b] = [old.get(path), fresh.get(path)]
    if (a === b) return []
    if (a === undefined) return [`${path} is new`]
    if (b === undefined) return [`${path} is gone`]
    return [`${path} ${brief(a)} -> ${brief(b)}`]
  })
}

interface Before {
  readonly record: RunRecord | undefined
  readonly keys: RunKeys
}

const lastOf = Effect.fnUntraced(function* (root: string, pipeline: string) {
  const record = yield* lastRun(root, (each) => each.pipeline === pipeline)
  const keys = record === undefined ? undefined : yield* readKeys(root, record.run)
  const before: Before = { record, keys: keys ?? {} }
  return before
})

interface NodeTask {
  /** Undefined for a fold or train, which is one task over all shards. */
  readonly shard: string | undefined
  readonly keys: ReadonlyArray<string>
}

/** The keys under which a node's results are kept. */
const nodeTasks = (keys: Keys, node: PlanNode): ReadonlyArray<NodeTask> =>
  node.operator.kind === "fold" || node.operator.kind === "train"
    ? [{ shard: undefined, keys: [keys.wholeKey(node)] }]
    : keys
        .taskShards(node)
        .map((shard) => ({ shard: keys.shardName(shard), keys: Object.values(keys.taskKeys(node, shard)) }))

const whyRun = (keys: Keys, node: PlanNode, { record, keys: old }: Before): ReadonlyArray<string> => {
  if (record === undefined) return ["this pipeline has not been run in this store"]
  const parts = old[node.id]?.parts
  if (parts === undefined) return ["it was not in the last run, or that run did not get so far"]
  const differences = keyDifferences(parts, keys.nodeParts(node))
  return differences.length > 0 ? differences : ["its results are not in the store any more"]
}

type Answer = Pick<NodePlan, "status" | "tasks" | "cached" | "shards" | "why">

/** Looks a node up whose key is known; the artifact it finds for a fold or train makes the keys after it known. */
const lookUp = Effect.fnUntraced(function* (
  store: ArtifactStoreShape,
  keys: Keys,
  node: PlanNode,
  artifacts: Map<string, CommittedArtifact>,
  before: Before
) {
  const tasks = nodeTasks(keys, node)
  const shards: Array<NodePlan["shards"][number]> = []
  let cached = 0
  for (const task of tasks) {
    const found = yield* storing({ node: node.id })(Effect.forEach(task.keys, store.peek))
    const whole = found.every((artifact) => artifact !== undefined)
    if (whole) cached += 1
    if (task.shard !== undefined) shards.push({ shard: task.shard, cached: whole })
    if (Object.keys(node.artifacts).length > 0 && found[0] !== undefined) artifacts.set(node.id, found[0])
  }
  const status = cached === tasks.length ? "cached" : cached > 0 ? "part" : "run"
  const why = status === "cached" ? [] : whyRun(keys, node, before)
  const answer: Answer = { status, tasks: tasks.length, cached, shards, why }
  return answer
})

const explain = Effect.fnUntraced(function* <R>(plan: Plan, options: RunOptions) {
  const store = yield* ArtifactStore
  const settings = { ...defaultSettings, ...options }
  const layout = yield* planLayout(plan)
  const sources = yield* openSources<R>(layout, settings)
  const artifacts = new Map<string, CommittedArtifact>()
  const keys = yield* keysOf<R>(layout, settings, sources, artifacts)
  const before = yield* storing({ node: "plan" })(lastOf(store.root, plan.name))
  /** Nodes whose key hangs on the result of a fold or train that isn't there. */
  const unsure = new Set<string>()
  const answerFor = (node: PlanNode): Effect.Effect<Answer, NodeError> => {
    const waits = wiresOf(node).flatMap((wire) =>
      unsure.has(wire.node) || (wire._tag === "Artifact" && !artifacts.has(wire.node)) ? [wire.node] : []
    )
    if (waits.length > 0) {
      unsure.add(node.id)
      const why = [`${[...new Set(waits)].join(", ")} must run first`]
      return Effect.succeed({ status: "run", tasks: 0, cached: 0, shards: [], why })
    }
    if (node.operator.kind === "union")
      return Effect.succeed({ status: "cached", tasks: 0, cached: 0, shards: [], why: [] })
    return lookUp(store, keys, node, artifacts, before)
  }
  const plans: Array<NodePlan> = []
  for (const node of plan.nodes) {
    const last = before.record?.nodes[node.id]
    const past = last === undefined ? {} : { rows: last.rows_in, seconds: last.seconds }
    plans.push({ node: node.id, op: node.operator.name, ...past, ...(yield* answerFor(node)) })
  }
  return plans as ReadonlyArray<NodePlan>
}, Effect.scoped)

/** What `runPlan` with the same options would do, node by node. */
export const explainPlan = <R = never>(
  plan: Plan,
  options: RunOptions = {}
): Effect.Effect<ReadonlyArray<NodePlan>, NodeError, Exclude<R, Scope.Scope> | ArtifactStore | Files> =>
  explain<R>(plan, options) as Effect.Effect<
    ReadonlyArray<NodePlan>,
    NodeError,
    Exclude<R, Scope.Scope> | ArtifactStore | Files
  >
