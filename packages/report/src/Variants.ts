/**
 * Reading a matrix out of a run record: which node of which variant and seed a number belongs to.
 *
 * `recall[data=both,seed=3].text_to_image_r1` is metric `text_to_image_r1` of node `recall`, variant `data=both`, seed 3.
 * An axis called `seed` repeats an experiment; every other axis makes a variant.
 */
import type { NodeRecord, RunRecord } from "@bootlace/graph"

/** The node's id without its place in the matrix: `a[data=x]/itm` is `a/itm`. */
export const baseName = (id: string): string => id.replace(/\[[^\]]*\]/g, "")

const isSeed = (axis: string): boolean => axis === "seed" || axis === "seeds"

export interface Place {
  /** `both`, or `data=both, size=small` where there are several axes; empty outside a matrix. */
  readonly variant: string
  readonly seed: string
}

/** Axes without the seed: one axis is named by its value, several by `axis=value`. */
export const placeOf = (axes: Readonly<Record<string, string>>): Place => {
  const variant = Object.entries(axes).filter(([axis]) => !isSeed(axis))
  const seed = Object.entries(axes).find(([axis]) => isSeed(axis))
  return {
    variant: variant.length === 1 ? variant[0]![1] : variant.map(([axis, value]) => `${axis}=${value}`).join(", "),
    seed: seed?.[1] ?? ""
  }
}

export interface Measured extends Place {
  readonly node: string
  readonly op: string
  /** An evaluation's result; otherwise it describes a model, a vocabulary or a training. */
  readonly evaluation: boolean
  readonly metric: string
  readonly value: number
  /** Of its variant among the others, as the matrix has them. */
  readonly order: number
}

/** Variants count up like the digits of a number whose first axis is the most significant. */
const orderOf = ({ axes = {} }: RunRecord, own: Readonly<Record<string, string>>): number =>
  Object.entries(axes)
    .filter(([axis]) => !isSeed(axis))
    .reduce((order, [axis, ids]) => order * (ids.length + 1) + ids.indexOf(own[axis] ?? "") + 1, 0)

/** Every metric of the record with its place; a metric of a node that isn't drawn stands under its own name. */
export const measurements = (record: RunRecord): ReadonlyArray<Measured> => {
  const nodes = record.graph.toSorted((a, b) => b.id.length - a.id.length)
  const types = new Map(record.artifacts.map((artifact) => [artifact.node, artifact.type]))
  return Object.entries(record.metrics).map(([key, value]) => {
    const node = nodes.find((each) => key.startsWith(`${each.id}.`))
    const id = node?.id ?? key.slice(0, Math.max(0, key.lastIndexOf(".")))
    return {
      node: baseName(id),
      op: node?.op ?? "",
      evaluation: types.get(id) === undefined || types.get(id) === "metrics",
      metric: key.slice(id === "" ? 0 : id.length + 1),
      value,
      order: orderOf(record, node?.axes ?? {}),
      ...placeOf(node?.axes ?? {})
    }
  })
}

/** Of the rows that came to a node, the share that went no further: rejected, or sent to another port than the first. */
const attritionOf = ({ rows_in, rejected, ports }: NodeRecord, kind: string): number => {
  const kept = kind === "route" ? (Object.values(ports)[0] ?? 0) : rows_in - rejected
  return 1 - kept / rows_in
}

const losing = new Set(["source", "map", "route", "expand"])

/** The attrition of every node that rows came to, as a metric of it. */
export const attritions = (record: RunRecord): ReadonlyArray<Measured> =>
  record.graph.flatMap(({ id, op, kind, axes }) => {
    const counts = record.nodes[id]
    if (!losing.has(kind) || counts === undefined || counts.rows_in === 0) return []
    const value = attritionOf(counts, kind)
    const place = { node: baseName(id), op, evaluation: false, metric: "attrition", order: orderOf(record, axes) }
    return [{ ...place, value, ...placeOf(axes) }]
  })
