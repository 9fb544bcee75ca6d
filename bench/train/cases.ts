/**
 * Training steps against PyTorch.
 *
 *   clip-tiny, clip-small, blip-tiny, blip-small   one batch, texts padded to the full length on both sides
 *   the same with -memory-low                      `memory: low`: activations computed twice instead of kept
 *   the same with -real-lengths                    a window of eight steps of texts as long as the emoji captions
 *   the same with -tensorflow                      fp32 by TensorFlow; only where they are named, since it has to be installed
 *   the same with -bf16                            TensorFlow with products in bfloat16; likewise
 *   clip-tiny-4096, clip-tiny-32768                one step by gradient caching in micro-batches of 64; the larger only where it is named
 */
import type { BlipConfig, ClipConfig } from "@bootlace/models"
import type { Case, Peer } from "../Case.ts"
import { blipStepFlops, clipStepFlops } from "../Flops.ts"
import { writeTraining } from "./TrainFolder.ts"
import type { TrainRows } from "./TrainFolder.ts"
import { trainModels } from "./TrainModel.ts"
import type { TrainModel, TrainModelName } from "./TrainModel.ts"
import { plainRows, queues, realRows } from "./TrainRows.ts"

type Losses = ReadonlyArray<Readonly<Record<string, number>>>

/** Within `tolerance`, absolute below 1, relative above. The second step's losses hang on the first one's gradients and update. */
const lossesDiffer = (tolerance: number) => (ours: unknown, peer: unknown) => {
  const theirs = peer as Losses
  for (const [step, losses] of (ours as Losses).entries()) {
    for (const [name, value] of Object.entries(losses)) {
      const other = theirs[step]?.[name] ?? Number.NaN
      if (!(Math.abs(value - other) <= tolerance * Math.max(1, Math.abs(other))))
        return `${name} of step ${step + 1} is ${value} here and ${other} there`
    }
  }
  return undefined
}

const torch = { modules: ["torch", "numpy"], requirements: "requirements.txt" }

const pytorch = (model: string, name: string, how: "eager" | "compile" | "autocast", whose: string): Peer => ({
  ...torch,
  // Its compilation takes minutes.
  ...(how === "compile" && { program: "c++", named: true }),
  name,
  command: ({ folder, threads, steps }) => ["train.py", model, folder, threads, steps, how, whose]
})

const prepare = (name: TrainModelName, rows: (made: TrainModel) => TrainRows) => async (folder: string) => {
  const made = trainModels[name]()
  writeTraining(folder, name, queues(made), rows(made))
}

const ours = (name: string, ...how: ReadonlyArray<string>): Case["ours"] =>
  function command({ folder, threads, steps }) {
    return ["train/ours.ts", name, folder, threads, steps, ...how]
  }

const isClip = (name: TrainModelName) => name.startsWith("clip")

function flopsOf(name: TrainModelName): number {
  const { model, batch_size, tokens } = trainModels[name]()
  return isClip(name)
    ? clipStepFlops(model.config as ClipConfig, batch_size, tokens)
    : blipStepFlops(model.config as BlipConfig, batch_size, tokens)
}

const step = { suite: "train", unit: "a step", differs: lossesDiffer(2e-3) } as const
const isTiny = (name: TrainModelName) => name.endsWith("tiny")

/** A case's name, and the model that it trains. */
type Named = readonly [name: string, model: TrainModelName]

const fullLength = ([name, model]: Named): Case => ({
  ...step,
  name,
  steps: isTiny(model) ? 12 : 2,
  flops: flopsOf(model),
  prepare: prepare(model, (made) => plainRows(made)),
  ours: ours(model),
  peers: [pytorch(model, "eager", "eager", "same"), pytorch(model, "compile", "compile", "same")]
})

/** Against the peer that keeps its activations. */
const memoryLow = ([name, model]: Named): Case => ({
  ...fullLength([name, model]),
  name: `${name}-memory-low`,
  ours: ours(model, "memory-low"),
  peers: [pytorch(model, "eager", "eager", "same")]
})

const realLengths = ([name, model]: Named): Case => ({
  ...step,
  name: `${name}-real-lengths`,
  unit: "a step of eight",
  steps: isTiny(model) ? 2 : 1,
  prepare: prepare(model, realRows),
  ours: ours(model),
  peers: [pytorch(model, "longest", "eager", "longest"), pytorch(model, "fixed", "eager", "fixed")]
})

const tensorflow = ([name, model]: Named): Case => ({
  ...fullLength([name, model]),
  name: `${name}-tensorflow`,
  named: true,
  ours: ours(model, "tensorflow"),
  peers: [pytorch(model, "eager", "eager", "same")]
})

/** Two roundings to 8 bits of mantissa agree in two or three digits. */
const bfloat16 = ([name, model]: Named): Case => ({
  ...step,
  name: `${name}-bf16`,
  steps: isTiny(model) ? 12 : 2,
  named: true,
  prepare: prepare(model, (made) => plainRows(made)),
  ours: ours(model, "bf16"),
  peers: [pytorch(model, "autocast", "autocast", "same")],
  differs: lossesDiffer(0.05)
})

const cached = (name: string, model: TrainModelName, batch_size: number): Case => ({
  ...step,
  name,
  steps: 1,
  prepare: prepare(model, (made) => plainRows(made, batch_size)),
  ours: ours(model, "cached"),
  peers: [
    {
      ...torch,
      name: "caching",
      command: ({ folder, threads, steps }) => ["gradient_caching.py", model, folder, threads, steps]
    }
  ]
})

const names = ["clip-tiny", "clip-small", "blip-tiny", "blip-small"] as const

/** `nano`: each with a model of hardly any size. */
export function trainCases(nano: boolean): ReadonlyArray<Case> {
  const models = names.map((name): Named => [name, nano ? (isClip(name) ? "clip-nano" : "blip-nano") : name])
  const [, clip] = models[0]!
  return [
    ...models.map(fullLength),
    ...models.map(memoryLow),
    ...models.map(realLengths),
    ...models.map(tensorflow),
    ...models.map(bfloat16),
    cached("clip-tiny-4096", clip, nano ? 16 : 4096),
    { ...cached("clip-tiny-32768", clip, nano ? 32 : 32_768), named: true }
  ]
}
