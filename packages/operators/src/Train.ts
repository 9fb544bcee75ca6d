/**
 * Train: trains a model on datasets of pairs by the losses of its graph.
 *
 *   pairs   image, text; several wires concatenate      init  the model to start from   ->   model
 *   graph   tensor operators, composed into one differentiable program      minimize  the losses to sum
 *
 * `objectives: [itc, itm, lm]` stands for BLIP's graph (Li et al. 2022, section 3.2), `[itc]` for CLIP's (Radford et al. 2021,
 * section 2.3). The model artifact holds history.json too: losses, learning rate and gradient norm of every step.
 */
import { NodeError, Operator } from "@bootlace/graph"
import type { NodeSpec } from "@bootlace/graph"
import { Effect } from "effect"
import { readModel } from "./tensor/ModelArtifact.ts"
import { objectives, TrainConfig } from "./tensor/TrainConfig.ts"
import type { Objective } from "./tensor/TrainConfig.ts"
import { openTraining } from "./tensor/TrainingRun.ts"

const losses = { itc: "itc.itc_loss", itm: "itm.itm_loss", lm: "lm.lm_loss" } as const

const isObjectives = (value: unknown): value is ReadonlyArray<Objective> =>
  Array.isArray(value) && value.length > 0 && value.every((one) => (objectives as ReadonlyArray<unknown>).includes(one))

/** The graph of these objectives. ITM draws its negatives by ITC's similarity, so it brings ITC along. */
const standardGraph = (wanted: ReadonlyArray<Objective>, label_smoothing: unknown): Record<string, NodeSpec> => {
  const has = (objective: Objective): boolean => wanted.includes(objective)
  const image_tokens = "image.image_tokens"
  const text = "pairs.text"
  const graph: Record<string, NodeSpec> = { image: { op: "ImageEncoder", in: { image: "pairs.image" }, config: {} } }
  if (has("itc") || has("itm")) {
    graph["text"] = { op: "TextEncoder", in: { text }, config: {} }
    const embeds = { image_embeds: "image.image_embeds", text_embeds: "text.text_embeds" }
    graph["itc"] = { op: "ITC", in: embeds, config: has("itc") ? {} : { twin: false } }
  }
  if (has("itm")) graph["itm"] = { op: "ITM", in: { image_tokens, text, similarity: "itc.similarity" }, config: {} }
  if (has("lm")) {
    const config = label_smoothing === undefined ? {} : { label_smoothing }
    graph["lm"] = { op: "LMDecoder", in: { image_tokens, text }, config }
  }
  return graph
}

const rewrite = (node: NodeSpec): Operator.Rewritten | undefined => {
  const { objectives: wanted, label_smoothing, ...config } = node.config
  if (node.graph !== undefined || !isObjectives(wanted)) return undefined
  const minimize = objectives.filter((objective) => wanted.includes(objective)).map((objective) => losses[objective])
  const train: NodeSpec = { ...node, config, graph: standardGraph(wanted, label_smoothing), minimize }
  return { nodes: { train }, as: "train" }
}

export const Train = Operator.train({
  name: "Train",
  version: 1,
  description: "Trains a model on image-text pairs by the losses of its graph.",
  config: TrainConfig,
  inputs: { pairs: { stream: { image: "image", text: "text" }, many: true }, init: { artifact: "model" } },
  outputs: { model: "model" },
  tensor: true,
  random: true,
  rewrite,
  body: {
    checkpointEvery: ({ checkpoint_every }) => checkpoint_every,
    open: Effect.fnUntraced(function* ({ node, seed, config, artifacts, graph, datasets, writer }) {
      const short = config.objectives !== undefined || config.label_smoothing !== undefined
      if (short || graph.minimize.length === 0 || artifacts.init === undefined) {
        const detail = short
          ? "`objectives` and `label_smoothing` stand for a graph; this node has one of its own"
          : "expected `init` and either `objectives` or `graph` with `minimize`"
        return yield* new NodeError({ code: "R304", node, detail })
      }
      const start = yield* readModel(node, artifacts.init)
      return yield* openTraining({ node, seed, config, start, graph, datasets, writer })
    })
  }
})
