/**
 * The models of a run, loaded once each into the engine and shared by every node and task that uses them.
 *
 * Keyed by the artifact's digest. A model that nobody has used for a minute is let go, so that a pipeline of many models
 * doesn't hold them all. Programs are shared too: one object is compiled once for each of its shapes.
 */
import { Engine } from "@bootlace/engine"
import type { LoadedModel, Program } from "@bootlace/engine"
import type { Artifact, NodeError } from "@bootlace/graph"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import type { Scope } from "effect"
import { engineFailure } from "./EngineFailure.ts"
import { imageTower } from "./ImageTower.ts"
import type { OpenTower } from "./ImageTower.ts"
import { readModel } from "./ModelArtifact.ts"
import type { OpenModel } from "./ModelArtifact.ts"

export interface RunnableModel {
  /** None for operators whose programs have no weights. */
  readonly opened: OpenModel | undefined
  readonly loaded: LoadedModel
  /** The model's image tower, shared by the operators that open it. */
  readonly tower: OpenTower | undefined
  /** The program of this key, made at the first call. */
  readonly program: (key: string, make: () => Program) => Program
}

export interface LoadedModelsShape {
  /** Held until the caller's scope closes. Without an artifact: an engine with no weights. */
  readonly use: (node: string, artifact: Artifact | undefined) => Effect.Effect<RunnableModel, NodeError, Scope.Scope>
}

const memo = <A>() => {
  const made = new Map<string, A>()
  return (key: string, make: () => A): A => {
    const known = made.get(key)
    if (known !== undefined) return known
    const fresh = make()
    made.set(key, fresh)
    return fresh
  }
}

interface Source {
  readonly node: string
  readonly artifact: Artifact | undefined
}

const make = Effect.gen(function* () {
  const executor = yield* Engine
  const sources = new Map<string, Source>()
  const load = Effect.fnUntraced(function* (digest: string) {
    const { node, artifact } = sources.get(digest)!
    const file = artifact === undefined ? undefined : yield* readModel(node, artifact)
    // The host keeps no second copy of the weights.
    const moved = executor.load(file?.weights ?? {}, { transfer: true })
    const loaded = yield* moved.pipe(Effect.mapError(engineFailure(node)))
    const opened = file && { model: file.model, tokenizer: file.tokenizer, vocabulary: file.vocabulary }
    const tower = opened && imageTower(opened.model, loaded.run)
    return { opened, loaded, tower, program: memo<Program>() } satisfies RunnableModel
  })
  const models = yield* RcMap.make({ lookup: load, idleTimeToLive: "1 minute" })
  const use: LoadedModelsShape["use"] = (node, artifact) =>
    Effect.suspend(() => {
      const digest = artifact?.digest ?? ""
      sources.set(digest, { node, artifact })
      return RcMap.get(models, digest)
    })
  return LoadedModels.of({ use })
})

export class LoadedModels extends Context.Service<LoadedModels, LoadedModelsShape>()(
  "@bootlace/operators/LoadedModels"
) {
  static readonly layer: Layer.Layer<LoadedModels, never, Engine> = Layer.effect(LoadedModels, make)
}
