/**
 * One weight's update as nodes of a model: AdamW.ts's formulas by TensorFlow's operation for Adam, which changes weight and moments in one pass.
 *
 *   ResourceApplyAdam   m += (g - m) (1 - b1)   v += (g g - v) (1 - b2)   w -= lr sqrt(1 - p2) / (1 - p1) * m / (sqrt(v) + eps)
 *
 * With p1 = p2 = 0, lr = step_size * correction and eps * correction for eps it is torch's: step_size * m / (sqrt(v) / correction + eps).
 */
import type { Optimizer } from "../Program.ts"
import type { GraphBuilder } from "./GraphBuilder.ts"
import { ofType } from "./GraphBuilder.ts"
import type { Variables } from "./Variables.ts"

export interface UpdateScalars {
  readonly keep: string
  readonly clip: string
  readonly learning_rate: string
  readonly eps: string
}

export interface WeightUpdate {
  readonly builder: GraphBuilder
  readonly variables: Variables
  readonly optimizer: Optimizer
  readonly scalars: UpdateScalars
  readonly name: string
  readonly shape: ReadonlyArray<number>
}

const float32 = ofType("float32")

/** copy <- momentum copy + (1 - momentum) weight; gives the node that writes it. */
function follow(
  { builder, variables, name }: WeightUpdate,
  copy: "t:" | "n:",
  momentum: number,
  after: ReadonlyArray<string>
): string {
  const scaled = (tensor: string, by: number) => builder.node("Mul", [tensor, builder.splat(by, "float32")], float32)
  const old = scaled(variables.read(copy + name), momentum)
  const weight = scaled(variables.read(`w:${name}`, after), 1 - momentum)
  return variables.assign(copy + name, builder.node("AddV2", [old, weight], float32))
}

function adamW(update: WeightUpdate, before: ReadonlyArray<string>): string {
  const { builder, variables, optimizer, scalars, name, shape } = update
  const [beta1, beta2] = optimizer.betas
  const [weight, zero] = [`w:${name}`, builder.splat(0, "float32")]
  let ready = before
  if (optimizer.decays(name, shape)) {
    const kept = builder.node("Mul", [variables.read(weight, before), scalars.keep], float32)
    ready = [variables.assign(weight, kept)]
  }
  const gradient = variables.read(`g:${name}`)
  const clipped =
    optimizer.max_grad_norm === undefined ? gradient : builder.node("Mul", [gradient, scalars.clip], float32)
  const handles = [weight, `m:${name}`, `v:${name}`].map((one) => variables.handle(one))
  const settings = [zero, zero, scalars.learning_rate, builder.splat(beta1, "float32"), builder.splat(beta2, "float32")]
  const order = ready.map((node) => `^${node}`)
  return builder.node("ResourceApplyAdam", [...handles, ...settings, scalars.eps, clipped, ...order], float32)
}

/** The node after which the weight's tensors are all updated. */
export function updateWeight(update: WeightUpdate): string {
  const { builder, variables, optimizer, name } = update
  // The twin follows the weights as they were in the forward pass.
  const twin = variables.has(`t:${name}`) ? [follow(update, "t:", optimizer.momentum ?? 1, [])] : []
  if (!variables.has(`g:${name}`)) return twin[0]!
  let last = adamW(update, twin)
  const bounds = optimizer.clamp?.[name]
  if (bounds !== undefined) {
    const [low, high] = bounds.map((bound) => builder.splat(bound, "float32")) as [string, string]
    const above = builder.node("Maximum", [variables.read(`w:${name}`, [last]), low], float32)
    last = variables.assign(`w:${name}`, builder.node("Minimum", [above, high], float32))
  }
  return variables.has(`n:${name}`) ? follow(update, "n:", optimizer.ema!, [last]) : last
}
