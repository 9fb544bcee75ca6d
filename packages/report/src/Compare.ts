/**
 * Two runs against each other: what each metric did, judged against the spread over seeds.
 *
 * A difference counts as one only where the 95% interval of the paired differences over the seeds leaves out 0. One pair has no
 * spread, so nothing is said about it however large it is.
 */
import type { RunRecord } from "@bootlace/graph"
import { mean, pairedDifference } from "./Statistics.ts"
import type { Interval } from "./Statistics.ts"
import { attritions, measurements } from "./Variants.ts"
import type { Measured } from "./Variants.ts"

export type Verdict = "equal" | "higher" | "lower" | "not resolved" | "only in A" | "only in B"

export interface MetricChange {
  readonly node: string
  readonly metric: string
  /** Of the matrix, without the seed; empty outside of one. */
  readonly variant: string
  /** Means over the seeds; undefined where a run has no such metric. */
  readonly a: number | undefined
  readonly b: number | undefined
  /** Of b - a over the seeds that both have. */
  readonly difference: Interval | undefined
  readonly verdict: Verdict
}

const keyOf = ({ node, metric, variant }: Measured): string => JSON.stringify([node, metric, variant])

const bySeed = (measured: ReadonlyArray<Measured>): ReadonlyMap<string, number> =>
  new Map(measured.map(({ seed, value }) => [seed, value]))

const judged = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>, difference: Interval): Verdict => {
  if (a.size === b.size && [...a].every(([seed, value]) => b.get(seed) === value)) return "equal"
  if (!difference.resolved) return "not resolved"
  return difference.mean > 0 ? "higher" : "lower"
}

const change = (a: ReadonlyArray<Measured> | undefined, b: ReadonlyArray<Measured> | undefined): MetricChange => {
  const { node, metric, variant } = (a ?? b)![0]!
  const [before, after] = [a && bySeed(a), b && bySeed(b)]
  const place = {
    node,
    metric,
    variant,
    a: before && mean([...before.values()]),
    b: after && mean([...after.values()])
  }
  if (before === undefined) return { ...place, difference: undefined, verdict: "only in B" }
  if (after === undefined) return { ...place, difference: undefined, verdict: "only in A" }
  const difference = pairedDifference(before, after)
  return { ...place, difference, verdict: judged(before, after, difference) }
}

const compareAll = (a: ReadonlyArray<Measured>, b: ReadonlyArray<Measured>): ReadonlyArray<MetricChange> => {
  const [before, after] = [Map.groupBy(a, keyOf), Map.groupBy(b, keyOf)]
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].map((key) => change(before.get(key), after.get(key)))
}

/** Every metric of either run, in the order of A's, then what only B has. */
export const compareMetrics = (a: RunRecord, b: RunRecord): ReadonlyArray<MetricChange> =>
  compareAll(measurements(a), measurements(b))

/** The share of its rows that each node dropped, where one of the runs dropped any; in the order of A's nodes. */
export const compareAttrition = (a: RunRecord, b: RunRecord): ReadonlyArray<MetricChange> =>
  compareAll(attritions(a), attritions(b)).filter((each) => (each.a ?? 0) > 0 || (each.b ?? 0) > 0)
