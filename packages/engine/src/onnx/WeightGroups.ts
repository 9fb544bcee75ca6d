/**
 * Weights that the optimiser treats alike, updated as one vector. An update is a dozen elementwise operations per weight; over hundreds of
 * small weights their number costs more than their work, to compile as well as to run.
 */
import { sizeOf } from "../Graph.ts"
import type { Optimizer, Specs } from "../Program.ts"
import type { TrainingSpecs } from "../TrainingChecks.ts"

export interface WeightGroup {
  readonly names: ReadonlyArray<string>
  /** Elements of all its weights. */
  readonly size: number
  /** Whether the losses depend on these weights. */
  readonly trained: boolean
  readonly twin: boolean
  readonly decays: boolean
  readonly bounds: readonly [number, number] | undefined
}

/** An update holds a few vectors of a group's size at once. */
const largest = 1 << 22

/** The program's weights in groups; `trained` are those with a gradient. Weights with bounds stand alone. */
export function weightGroups(
  own: TrainingSpecs,
  optimizer: Optimizer,
  trained: ReadonlyArray<string>
): ReadonlyArray<WeightGroup> {
  const groups: Array<WeightGroup> = []
  const open = new Map<string, number>()
  for (const [name, { shape }] of Object.entries(own.weights)) {
    const alike = {
      trained: trained.includes(name),
      twin: own.twin[name] !== undefined,
      decays: optimizer.decays(name, shape),
      bounds: optimizer.clamp?.[name]
    }
    const key = alike.bounds === undefined ? JSON.stringify(alike) : name
    const at = open.get(key)
    const group = at === undefined ? undefined : groups[at]
    const size = sizeOf(shape)
    if (at !== undefined && group !== undefined && group.size + size <= largest) {
      groups[at] = { ...group, names: [...group.names, name], size: group.size + size }
    } else {
      open.set(key, groups.push({ ...alike, names: [name], size }) - 1)
    }
  }
  return groups
}

/** The chosen groups' vectors, named by the group's number. */
export const groupSpecs = (groups: ReadonlyArray<WeightGroup>, chosen: (group: WeightGroup) => boolean): Specs =>
  Object.fromEntries(
    groups.flatMap((group, index) =>
      chosen(group) ? [[String(index), { shape: [group.size], dtype: "float32" }] as const] : []
    )
  )

/** The optimizer, asked about groups by number instead of weights by name. */
export const groupOptimizer = (groups: ReadonlyArray<WeightGroup>, optimizer: Optimizer): Optimizer => ({
  ...optimizer,
  decays: (index) => groups[Number(index)]!.decays,
  clamp: Object.fromEntries(
    groups.flatMap(({ bounds }, index) => (bounds === undefined ? [] : [[String(index), bounds] as const]))
  )
})
