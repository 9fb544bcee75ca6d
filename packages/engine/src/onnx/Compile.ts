/**
 * Programs as ONNX models. The prefix of a tensor's name says what it is, which is how the worker finds it:
 *
 *   w: weight   t: twin   s: state   m: exp_avg   v: exp_avg_sq   g: gradient   x: input of the call   h: scalar of the step
 *   y: output   l: loss   total   grad_norm   new:w: and so on: written over the tensor of that name
 */
import type { Tensor } from "@tensorflow/tfjs-core"
import { capture } from "../Capture.ts"
import type { AdamWScalars, AdamWState } from "../AdamW.ts"
import { adamW } from "../AdamW.ts"
import type { Graph } from "../Graph.ts"
import { mapTensors, prefixed, under } from "../HostTensors.ts"
import type { Optimizer, Program, Specs, Tensors, TrainingProgram } from "../Program.ts"
import type { TrainingSpecs } from "../TrainingChecks.ts"
import { differentiate, momentumTwin } from "../TrainingStep.ts"
import { inPlace } from "./Protocol.ts"

export const inferenceGraph = (program: Program, weights: Specs, inputs: Specs): Graph =>
  capture(program.name, { ...prefixed("w:", weights), ...prefixed("x:", inputs) }, (at) =>
    prefixed("y:", program.run(under("w:", at), under("x:", at)))
  )

/** Losses, their gradients and further outputs, with the twin as it will be after this step's update. */
export function stepGraph(program: TrainingProgram, specs: TrainingSpecs, inputs: Specs, momentum: number): Graph {
  const { weights, twin, state } = specs
  const tensors = {
    ...prefixed("w:", weights),
    ...prefixed("t:", twin),
    ...prefixed("s:", state),
    ...prefixed("x:", inputs)
  }
  return capture(program.name, tensors, (at) => {
    const now = under("w:", at)
    const result = differentiate(program, {
      weights: now,
      twin: momentumTwin(under("t:", at), now, momentum),
      state: under("s:", at),
      inputs: under("x:", at)
    })
    return {
      ...prefixed("l:", result.losses),
      total: result.total,
      grad_norm: result.grad_norm,
      ...prefixed("y:", result.outputs),
      ...prefixed("g:", result.gradients)
    }
  })
}

export const twinGraph = (program: string, twin: Specs, momentum: number): Graph =>
  capture(`${program}: twin`, { ...prefixed("w:", twin), ...prefixed("t:", twin) }, (at) =>
    prefixed(`${inPlace}t:`, momentumTwin(under("t:", at), under("w:", at), momentum))
  )

const scalar = { shape: [], dtype: "float32" } as const

/** AdamW for these weights, all results in place. */
export function updateGraph(program: string, weights: Specs, optimizer: Optimizer): Graph {
  const scalars: Readonly<Record<keyof AdamWScalars<unknown>, typeof scalar>> = {
    keep: scalar,
    step_size: scalar,
    correction: scalar,
    clip: scalar
  }
  const parts = ["w:", "g:", "m:", "v:"].map((prefix) => prefixed(prefix, weights))
  return capture(`${program}: update`, Object.assign(prefixed("h:", scalars), ...parts) as Specs, (at) => {
    const step = under("h:", at) as unknown as AdamWScalars<Tensor>
    const of = (prefix: string, name: string) => at[prefix + name]!
    const updated: Readonly<Record<string, AdamWState>> = mapTensors(weights, (_, name) =>
      adamW(
        name,
        { weight: of("w:", name), exp_avg: of("m:", name), exp_avg_sq: of("v:", name) },
        of("g:", name),
        step,
        optimizer
      )
    )
    const all = (prefix: string, part: keyof AdamWState): Tensors =>
      prefixed(
        inPlace + prefix,
        mapTensors(updated, (state) => state[part])
      )
    return { ...all("w:", "weight"), ...all("m:", "exp_avg"), ...all("v:", "exp_avg_sq") }
  })
}
