/**
 * Train: trains a model on datasets of pairs by the losses of its graph.
 *
 *   pairs   image, text; several wires concatenate      init  the model to start from   ->   model
 *   graph   tensor operators, composed into one differentiable program      minimize  the losses to sum
 *
 * `objectives: [itc, itm, lm]` stands for BLIP's graph (Li et al. 2022, section 3.2), `[itc]` for CLIP's (Radford et al. 2021,
 * section 2.3); `objectives: { itc: { twin: false }, lm: {} }` tells their operators more. The model artifact has history.json
 * too: losses, learning rate and gradient norm of every step.
 */
import { openLater, Operator } from "@bootlace/graph"
import type { NodeSpec } from "@bootlace/graph"
import { microBatchRefusal, misfits } from "./tensor/TrainCheck.ts"
import { microBatchSize, objectives, shorthands, TrainConfig } from "./tensor/TrainConfig.ts"
import type { Objective } from "./tensor/TrainConfig.ts"

const losses = { itc: "itc.itc_loss", itm: "itm.itm_loss", lm: "lm.lm_loss" } as const

type NodeConfig = Readonly<Record<string, unknown>>
/** The operators' configs by objective. */
type Wanted = Partial<Readonly<Record<Objective, NodeConfig>>>

const isObject = (value: unknown): value is NodeConfig =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Undefined for what is no such config: its schema says so, later and with its place. */
const wantedOf = (spelled: unknown, label_smoothing: unknown): Wanted | undefined => {
  const map = Array.isArray(spelled) ? Object.fromEntries(spelled.map((objective) => [objective, {}])) : spelled
  if (!isObject(map)) return undefined
  const entries = Object.entries(map)
  const known = entries.every(
    ([name, config]) => objectives.some((objective) => objective === name) && isObject(config)
  )
  if (!known || entries.length === 0) return undefined
  const wanted: Wanted = map as Wanted
  const lm = wanted.lm && { ...(label_smoothing === undefined ? {} : { label_smoothing }), ...wanted.lm }
  return lm === undefined ? wanted : { ...wanted, lm }
}

/**
 * Finetuning a filter, or for retrieval, is ITC and ITM without LM: there the captions of one image are no negatives of each other, as in
 * ALBEF's and LAVIS's code. In BLIP's pre-training, and CLIP's, they are.
 */
const pairing = ({ itm, lm }: Wanted): NodeConfig =>
  itm !== undefined && lm === undefined ? { same_image: "positive" } : {}

/**
 * The graph of these objectives. ITM draws its negatives by ITC's similarity, so it brings ITC along. `image` is told to the
 * operator that looks at images, `reader` to those that read texts.
 */
const standardGraph = (
  wanted: Wanted,
  { image, reader }: { readonly image: NodeConfig; readonly reader: NodeConfig }
): Record<string, NodeSpec> => {
  const { itc, itm, lm } = wanted
  const image_tokens = "image.image_tokens"
  const text = "pairs.text"
  const graph: Record<string, NodeSpec> = { image: { op: "ImageEncoder", in: { image: "pairs.image" }, config: image } }
  if (itc !== undefined || itm !== undefined) {
    graph["text"] = { op: "TextEncoder", in: { text }, config: reader }
    const embeds = { image_embeds: "image.image_embeds", text_embeds: "text.text_embeds" }
    graph["itc"] = {
      op: "ITC",
      in: embeds,
      config: itc === undefined ? { twin: false } : { ...pairing(wanted), ...itc }
    }
  }
  if (itm !== undefined) {
    graph["itm"] = {
      op: "ITM",
      in: { image_tokens, text, similarity: "itc.similarity" },
      config: { ...pairing(wanted), ...reader, ...itm }
    }
  }
  if (lm !== undefined) graph["lm"] = { op: "LMDecoder", in: { image_tokens, text }, config: { ...reader, ...lm } }
  return graph
}

const rewrite = (node: NodeSpec): Operator.Rewritten | undefined => {
  const { objectives: spelled, label_smoothing, patch_dropout, dropout, ...config } = node.config
  const wanted = wantedOf(spelled, label_smoothing)
  if (node.graph !== undefined || wanted === undefined) return undefined
  const minimize = objectives.filter((objective) => wanted[objective] !== undefined).map((each) => losses[each])
  const image = patch_dropout === undefined ? {} : { patch_dropout }
  const reader = dropout === undefined ? {} : { dropout }
  const train: NodeSpec = { ...node, config, graph: standardGraph(wanted, { image, reader }), minimize }
  return { nodes: { train }, as: "train" }
}

export const Train = Operator.train({
  name: "Train",
  version: 4,
  description: "Trains a model on image-text pairs by the losses of its graph.",
  config: TrainConfig,
  inputs: { pairs: { stream: { image: "image", text: "text" }, many: true }, init: { artifact: "model" } },
  outputs: { model: "model" },
  tensor: true,
  random: true,
  rewrite,
  // A node whose `objectives` stood for its graph has been rewritten without them.
  check: (config, _wired, training) => {
    const short = shorthands.filter((key) => config[key] !== undefined)
    const refusal =
      training === undefined || microBatchSize(config) === undefined
        ? undefined
        : microBatchRefusal(training.graph.nodes, training.architecture)
    return [
      ...short.map((key) => ({ path: [key], message: `stands for a graph; this node has one of its own` })),
      ...(refusal === undefined ? [] : [{ path: ["micro_batch_size"], message: refusal }]),
      ...misfits(config, training)
    ]
  },
  body: {
    checkpointEvery: ({ checkpoint_every }) => checkpoint_every,
    open: openLater(async () => (await import("./bodies/Train.ts")).open)
  }
})
