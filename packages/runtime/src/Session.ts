/** Session: what every stage of one run needs at hand. */
import type { ArtifactStoreShape, CommittedArtifact } from "@bootlace/data"
import type { Artifact, ArtifactType, NodeError, OpenContext, PlanNode, Source } from "@bootlace/graph"
import type { Duration, Effect } from "effect"
import type { Task } from "./DurableRun.ts"
import { storing } from "./Guard.ts"
import type { Keys } from "./Keys.ts"
import { wantedColumns } from "./Layout.ts"
import type { Layout } from "./Layout.ts"
import type { Recorder } from "./Recorder.ts"

export interface Settings {
  /** The pipeline file's folder: relative paths in configs start here. */
  readonly directory: string
  /** Engine and version, instruction set, threads, precision: whatever the bits of tensor operators depend on. */
  readonly numerics: string
  /** For the run record: the engine's name. */
  readonly engine: string
  /** How long one call of an operator may take. */
  readonly call_timeout: Duration.Input
  /** Micro-batches of one node in flight at once: while one computes, the next is prepared. */
  readonly in_flight: number
  /** Shards of one chain at work at once. */
  readonly shards_at_once: number
  /** Batches between two checkpoints of a fold. */
  readonly fold_checkpoint_batches: number
  /** Bytes that must stay free on the store's disk. */
  readonly reserve_bytes: number
}

export const defaultSettings: Settings = {
  directory: ".",
  numerics: "none",
  engine: "none",
  call_timeout: "10 minutes",
  in_flight: 2,
  shards_at_once: 1,
  fold_checkpoint_batches: 64,
  reserve_bytes: 64 * 1024 * 1024
}

export interface Session {
  readonly layout: Layout
  readonly keys: Keys
  readonly store: ArtifactStoreShape
  readonly settings: Settings
  readonly sources: ReadonlyMap<string, Source<unknown>>
  /** Of the folds and trains that are finished. */
  readonly artifacts: Map<string, CommittedArtifact>
  readonly recorder: Recorder
  /** Does a task as an activity of the run. */
  readonly doTask: <R>(task: Task<R>) => Effect.Effect<void, NodeError, R>
}

const asArtifact = (node: string, type: ArtifactType, artifact: CommittedArtifact): Artifact => ({
  type,
  digest: artifact.digest,
  files: artifact.files.map((file) => file.name),
  read: (name) => storing({ node })(artifact.read(name))
})

/** What an operator's body is opened with. */
export const openContext = (
  { layout, settings }: Pick<Session, "layout" | "settings">,
  node: PlanNode,
  artifacts: ReadonlyMap<string, CommittedArtifact>
): OpenContext => ({
  node: node.id,
  config: node.config,
  seed: layout.plan.seed,
  directory: settings.directory,
  ...(node.operator.kind === "map" && { wanted: wantedColumns(layout, node) }),
  artifacts: Object.fromEntries(
    Object.entries(node.inputs).flatMap(([input, wires]) =>
      wires.flatMap((wire) =>
        wire._tag === "Artifact" ? [[input, asArtifact(node.id, wire.type, artifacts.get(wire.node)!)]] : []
      )
    )
  )
})
