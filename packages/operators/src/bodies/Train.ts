/** Train at work: the model to start from is read, the rest is TrainingRun's. */
import type { Engine } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"
import type { TrainBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { atSize, readModel } from "../tensor/ModelArtifact.ts"
import { shorthands } from "../tensor/TrainConfig.ts"
import type { TrainConfig } from "../tensor/TrainConfig.ts"
import { openTraining } from "../tensor/TrainingRun.ts"

export const open: TrainBody<TrainConfig, Engine>["open"] = Effect.fnUntraced(function* ({
  node,
  seed,
  config,
  artifacts,
  graph,
  datasets,
  writer
}) {
  const short = shorthands.some((key) => config[key] !== undefined)
  if (short || graph.minimize.length === 0 || artifacts["init"] === undefined) {
    const detail = short
      ? "`objectives`, `label_smoothing`, `patch_dropout` and `dropout` stand for a graph; this node has one of its own"
      : "expected `init` and either `objectives` or `graph` with `minimize`"
    return yield* new NodeError({ code: "R304", node, detail })
  }
  const start = yield* atSize(node, yield* readModel(node, artifacts["init"]), config.image_size)
  return yield* openTraining({ node, seed, config, start, graph, datasets, writer })
})
