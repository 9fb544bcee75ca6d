/**
 * What of a training doesn't fit the architecture of its model, said before anything runs.
 *
 * Sizes aren't known yet, a checkpoint's least of all, so names are compared with those of the architecture's presets, and only
 * as far as depth has no say: how a weight's name begins, how a linear layer's ends. The rest is found when the training starts.
 */
import type { Operator } from "@bootlace/graph"
import { modelFromConfig, preset, presetNames } from "@bootlace/models"
import type { Model } from "@bootlace/models"
import { isLinear } from "./Lora.ts"
import { dropoutRefusal } from "./TextDropout.ts"
import { towers } from "./TrainedWeights.ts"
import type { TrainConfig } from "./TrainConfig.ts"

type Architecture = Model["architecture"]

/** Of all presets of an architecture. */
const namesOf = (architecture: Architecture) => {
  const models = presetNames(architecture).map((name) => modelFromConfig(preset(architecture, name)))
  const all = models.flatMap(({ shapes }) => Object.keys(shapes))
  const linear = models.flatMap(({ shapes }) => Object.keys(shapes).filter((name) => isLinear(shapes, name)))
  return {
    starts: [...new Set(all.map((name) => name.split(".", 1)[0]!))],
    ends: [...new Set(linear.map((name) => name.split(".").at(-2)!))]
  }
}

const freezeMistake = (freeze: ReadonlyArray<string>, architecture: Architecture): string | undefined => {
  const { starts } = namesOf(architecture)
  const idle = freeze.find((entry) => towers[entry] === undefined && !starts.includes(entry.split(".", 1)[0]!))
  if (idle === undefined) return undefined
  return `no weight of a ${architecture} model is named ${idle}; say image, text, or the start of a name: ${starts.join(", ")}`
}

const loraMistake = (targets: ReadonlyArray<string>, architecture: Architecture): string | undefined => {
  const { ends } = namesOf(architecture)
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
