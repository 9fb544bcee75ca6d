/**
 * What of a training doesn't fit the architecture of its model, said before anything runs.
 *
 * Sizes aren't known yet, a checkpoint's least of all, so names are compared only as far as no size has
 * a say: how a weight's name begins, how a linear layer's ends. The rest is found when the training starts.
 */
import type { Columns, Operator, PlanNode } from "@bootlace/graph"
import type { Model } from "@bootlace/models"
import { dropoutRefusal } from "./DropoutConfig.ts"
import { isTensorOperator } from "./TensorOperator.ts"
import type { TrainConfig } from "./TrainConfig.ts"
import { towers, weightNames } from "./WeightNames.ts"

type Architecture = Model["architecture"]

const freezeMistake = (freeze: ReadonlyArray<string>, architecture: Architecture): string | undefined => {
  const { starts } = weightNames[architecture]
  const idle = freeze.find((entry) => towers[entry] === undefined && !starts.includes(entry.split(".", 1)[0]!))
  if (idle === undefined) return undefined
  return `no weight of a ${architecture} model is named ${idle}; say image, text, or the start of a name: ${starts.join(", ")}`
}

const loraMistake = (targets: ReadonlyArray<string>, architecture: Architecture): string | undefined => {
  const { ends } = weightNames[architecture]
  const idle = targets.find((target) => !ends.includes(target.split(".").at(-1)!))
  if (idle === undefined) return undefined
  return `no linear layer of a ${architecture} model is named ${idle}; there are ${ends.join(", ")}`
}

const drops = ({ graph }: Operator.TrainingCheck, key: "patch_dropout" | "dropout"): boolean =>
  graph.nodes.some(({ config }) => ((config as Readonly<Record<string, number | undefined>>)[key] ?? 0) > 0)

const dropoutMistake = (training: Operator.TrainingCheck, architecture: Architecture): string | undefined => {
  if (architecture === "siglip" && drops(training, "patch_dropout"))
    return "patch_dropout needs an image tower with a class token: clip or blip"
  return drops(training, "dropout") ? dropoutRefusal(architecture) : undefined
}

/** Mistakes of the config, at their places in it. */
export const misfits = (
  { freeze, lora, schedule, lr_decay_rate }: Omit<TrainConfig, "objectives">,
  training: Operator.TrainingCheck | undefined
): ReadonlyArray<Operator.ConfigMistake> => {
  if (lora !== undefined && freeze !== undefined)
    return [{ path: ["freeze"], message: "with lora every weight is frozen; say lora.targets instead" }]
  if (lr_decay_rate !== undefined && schedule !== "epoch_decay")
    return [{ path: ["lr_decay_rate"], message: `the schedule is ${schedule}; only epoch_decay has a rate` }]
  const architecture = training?.architecture as Architecture | undefined
  if (training === undefined || architecture === undefined) return []
  const frozen = freeze && freezeMistake(freeze, architecture)
  const adapted = lora?.targets && loraMistake(lora.targets, architecture)
  const dropped = dropoutMistake(training, architecture)
  return [
    ...(frozen === undefined ? [] : [{ path: ["freeze"], message: frozen }]),
    ...(adapted === undefined ? [] : [{ path: ["lora", "targets"], message: adapted }]),
    ...(dropped === undefined ? [] : [{ path: [], message: dropped }])
  ]
}

/** Of an operator inside Train: whether it compares the rows of a batch. */
export const comparesRows = (columns: Columns): boolean =>
  Object.values(columns).some((type) => type === "loss" || type === "similarity")

/** Why a node of the graph can't be trained on micro-batches; undefined where all can. */
export const microBatchRefusal = (
  nodes: ReadonlyArray<PlanNode>,
  architecture: string | undefined
): string | undefined => {
  for (const { id, operator, config } of nodes) {
    if (!isTensorOperator(operator) || !comparesRows(operator.training?.outputs ?? {})) continue
    const { refusesRows } = operator.tensors
    const why =
      refusesRows === undefined
        ? `${operator.name} needs the whole batch at once, only ITC doesn't`
        : refusesRows(config, architecture)
    if (why !== undefined) return `not with node ${id}: ${why}`
  }
  return undefined
}
