/**
 * Small weights that the optimiser treats alike, updated as one vector. An update is a dozen elementwise operations per weight; over hundreds of
 * small weights their number costs more than their work, to compile as well as to run. A vector, or a large weight, is updated piece after
 * piece, each through the whole dozen while it is in the processor's cache; what is computed on the way is then no longer than a piece either.
 */
import { sizeOf } from "../Graph.ts"
import type { Optimizer, Specs, TensorSpec } from "../Program.ts"
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

/** A piece of this many elements, its gradient, moments and intermediate results fit into two cores' second-level caches. */
const cached = 1 << 16

/** More pieces than this cost more to compile and start than their size saves. */
const most = 128

/** Elements of a piece of a group's vector; the last may be shorter. */
export const pieceLength = (groups: ReadonlyArray<WeightGroup>): number =>
  Math.max(cached, Math.ceil(groups.reduce((sum, { size }) => sum + size, 0) / most))

/** The program's weights in groups; `trained` are those with a gradient. Large weights, which then needn't move, and those with bounds stand alone. */
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
    const size = sizeOf(shape)
    const key = alike.bounds === undefined && size <= cached ? JSON.stringify(alike) : name
    const at = open.get(key)
    if (at === undefined) open.set(key, groups.push({ ...alike, names: [name], size }) - 1)
    else groups[at] = { ...groups[at]!, names: [...groups[at]!.names, name], size: groups[at]!.size + size }
  }
  return groups
}

/** The chosen groups' pieces, named by the group's number and their own: `3.0`, `3.1`. */
export const groupSpecs = (groups: ReadonlyArray<WeightGroup>, chosen: (group: WeightGroup) => boolean): Specs => {
  const length = pieceLength(groups)
  const specs: Record<string, TensorSpec> = {}
  groups.forEach((group, index) => {
    if (!chosen(group)) return
    for (let from = 0, piece = 0; from < group.size; from += length, piece++)
      specs[`${index}.${piece}`] = { shape: [Math.min(length, group.size - from)], dtype: "float32" }
  })
  return specs
}

const groupOf = (piece: string): number => Number(piece.split(".")[0])

/** The optimizer, asked about pieces by their names instead of weights by theirs. */
export const groupOptimizer = (groups: ReadonlyArray<WeightGroup>, optimizer: Optimizer): Optimizer => ({
  ...optimizer,
  decays: (piece) => groups[groupOf(piece)]!.decays,
  clamp: Object.fromEntries(
    groups.flatMap(({ bounds }, index) => (bounds === undefined ? [] : [[`${index}.0`, bounds] as const]))
  )
})
