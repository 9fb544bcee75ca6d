/**
 * A training graph on a batch that comes in micro-batches (gradient caching): encoders see the rows of one at a time, the nodes that
 * compare rows see what each row was reduced to.
 *
 * Encoders are those without a loss or a similarity; they are maps, so a row of theirs depends on no other.
 */
import type { RowLosses, Tensors } from "@bootlace/engine"
import type { TrainingGraph } from "@bootlace/graph"
import { comparesRows, microBatchRefusal } from "./TrainCheck.ts"
import { Evaluation, lossesAndScalars, ownOf, prefixed } from "./TrainingProgram.ts"
import type { Parts } from "./TrainingParts.ts"

/** The losses of the graph's program by rows. Throws an Error in words for a person where there are none. */
export const byRowsOf = (parts: Parts, graph: TrainingGraph): RowLosses => {
  const refusal = microBatchRefusal(graph.nodes, [...parts.values()][0]?.at.model.architecture)
  if (refusal !== undefined) throw new Error(`micro_batch_size: ${refusal}`)
  const comparing = [...parts.values()].filter(({ life }) => comparesRows(life.outputs))
  const encoders = new Map([...parts].filter(([, part]) => !comparing.includes(part)))
  return {
    features: ({ weights, inputs }) => {
      const evaluation = new Evaluation(encoders, { weights, inputs, twin: {}, state: {} })
      const all = comparing.map((part) =>
        prefixed(part.node.id, part.life.byRows!.features(part.at)(evaluation.inputsOf(part) as never))
      )
      return Object.assign({}, ...all) as Tensors
    },
    block: ({ weights, rows, all, places }) => {
      const results = comparing.map(({ node, life, at }) => {
        const own = { weights, rows: ownOf(node.id, rows), all: ownOf(node.id, all), places }
        const { losses, metrics } = life.byRows!.block(at)(own)
        return [node.id, { columns: losses as never, metrics }] as const
      })
      const { losses, scalars } = lossesAndScalars(new Map(results), graph)
      return { losses, outputs: scalars }
    }
  }
}
