/** Updates on the processor: weights that the optimiser treats alike as one vector, in place (WeightGroups.ts). */
import * as Effect from "effect/Effect"
import { followGraph, updateGraph } from "../Compile.ts"
import type { HostTensors } from "../Program.ts"
import { runOf } from "./SessionCache.ts"
import type { CompiledSession } from "./SessionCache.ts"
import { ask, momentumOf } from "./WorkerTraining.ts"
import type { Training, Updates } from "./WorkerTraining.ts"
import { groupOptimizer, groupSpecs, pieceLength, weightGroups } from "./WeightGroups.ts"
import type { WeightGroup } from "./WeightGroups.ts"

/** The groups of these weights. Moves the tensors of each together, unless they are already since the last step. */
const pack = (training: Training, trained: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { own, space, ownSpace, groupSpace, packed, optimizer } = training
    const groups = weightGroups(own, optimizer, trained)
    const wanted = `${groupSpace} ${trained.join()}`
    if (packed.as === wanted) return groups
    const piece = pieceLength(groups)
    const named = (chosen: (group: WeightGroup) => boolean) =>
      Object.fromEntries(
        groups.flatMap((group, index) => (chosen(group) ? [[String(index), group.names] as const] : []))
      )
    const move = (from: number, prefix: string, chosen: (group: WeightGroup) => boolean) =>
      ask(training, { _tag: "Pack", space: from, prefix, groups: named(chosen), piece, into: groupSpace })
    yield* move(space, "w:", () => true)
    for (const prefix of ["g:", "m:", "v:"]) yield* move(ownSpace, prefix, ({ trained }) => trained)
    yield* move(ownSpace, "t:", ({ twin }) => twin)
    if (optimizer.ema !== undefined) yield* move(ownSpace, "n:", ({ trained }) => trained)
    packed.as = wanted
    return groups
  })

const update: Updates["update"] = (training, trained, scalars) =>
  Effect.gen(function* () {
    const { program, optimizer, cache, groupSpace } = training
    const groups = yield* pack(training, trained)
    const key = trained.join()
    const runOn = (compiled: CompiledSession, inputs: HostTensors) =>
      ask(training, runOf(compiled, [groupSpace], inputs))
    const followed = groupSpecs(groups, ({ twin }) => twin)
    if (Object.keys(followed).length > 0) {
      const twin = yield* cache.get(followGraph, `t: ${key}`, () =>
        followGraph(program.name, "t:", followed, momentumOf(training))
      )
      yield* runOn(twin, {})
    }
    const moved = groupSpecs(groups, ({ trained }) => trained)
    if (Object.keys(moved).length === 0) return
    const adam = yield* cache.get(updateGraph, key, () =>
      updateGraph(program.name, moved, groupOptimizer(groups, optimizer))
    )
    yield* runOn(adam, scalars)
    const { ema } = optimizer
    if (ema === undefined) return
    const average = yield* cache.get(followGraph, `n: ${key}`, () => followGraph(program.name, "n:", moved, ema))
    yield* runOn(average, {})
  })

export const packedUpdates: Updates = { prepare: pack, update }
