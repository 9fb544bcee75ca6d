/**
 * From a run record and the store to what the page shows: training histories, filters with a known truth, galleries.
 *
 * Seeds of one variant repeat an experiment: curves show all of them, filters and galleries the first. What can't be read is
 * left out with a note; a report must not fail because one artifact is gone.
 */
import type { RunRecord } from "@bootlace/graph"
import { Effect } from "effect"
import type { History } from "./Curves.ts"
import type { FilterRows } from "./FilterQuality.ts"
import { cutOf } from "./FilterQuality.ts"
import { captionGalleries, filterGalleries, neighbourGalleries } from "./Galleries.ts"
import { columnsOf, firstSeeds, portsOf, title } from "./Lookup.ts"
import type { ReportStore } from "./ReportStore.ts"

const maxGalleries = 12

const parseHistory = (bytes: Uint8Array): ReadonlyArray<Readonly<Record<string, number>>> => {
  const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes))
  if (!Array.isArray(parsed)) return []
  return parsed.map((entry: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(
      Object.entries(entry).flatMap(([name, value]) => (typeof value === "number" ? [[name, value]] : []))
    )
  )
}

/** One history per trained model. */
export const gatherHistories = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const nodes = new Map(record.graph.map((node) => [node.id, node]))
  const histories: Array<History> = []
  for (const artifact of record.artifacts) {
    const node = nodes.get(artifact.node)
    if (artifact.type !== "model" || node?.kind !== "train") continue
    const bytes = yield* store.file(artifact, "history.json")
    if (bytes === undefined) continue
    const entries = yield* Effect.try({ try: () => parseHistory(bytes), catch: () => "not JSON" }).pipe(
      Effect.orElseSucceed(() => [])
    )
    histories.push({ name: title(node), entries })
  }
  return histories
})

/** Both ports of every filter whose rows carry a flag; the score is the one that the decision was made on, if that can be told. */
export const gatherFilters = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const filters: Array<FilterRows> = []
  for (const node of firstSeeds(record, (each) => each.kind === "route")) {
    const { kept, rejected } = portsOf(record, node)
    if (kept === undefined || rejected === undefined) continue
    const flags = columnsOf(kept, "flag")
    const flagName = flags.includes("matched") ? "matched" : flags[0]
    if (flagName === undefined || !columnsOf(rejected, "flag").includes(flagName)) continue
    const scores = columnsOf(kept, "score").filter((name) => columnsOf(rejected, "score").includes(name))
    const columns = [flagName, ...scores]
    const rows = [
      ...(yield* store.rows(kept, columns)).map((row) => ({ row, kept: true })),
      ...(yield* store.rows(rejected, columns)).map((row) => ({ row, kept: false }))
    ]
    const views = (scores.length === 0 ? [undefined] : scores).map((scoreName): FilterRows => ({
      name: title(node),
      flagName,
      ...(scoreName === undefined ? {} : { scoreName }),
      rows: rows.map((each) => {
        const score = scoreName === undefined ? undefined : each.row[scoreName]
        return {
          kept: each.kept,
          flag: each.row[flagName] === true,
          ...(typeof score === "number" ? { score } : {})
        }
      })
    }))
    filters.push(views.find((view) => cutOf(view) !== undefined) ?? views[0]!)
  }
  return filters
})

/** Everything that is read from the store. Notes say what couldn't be. */
export const gather = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const notes: Array<string> = []
  const orNote = <A>(what: string, effect: Effect.Effect<ReadonlyArray<A>, { readonly message: string }>) =>
    Effect.catch(effect, (error) =>
      Effect.sync((): ReadonlyArray<A> => {
        notes.push(`${what}: ${error.message}`)
        return []
      })
    )
  const histories = yield* orNote("curves", gatherHistories(record, store))
  const filters = yield* orNote("filters", gatherFilters(record, store))
  const galleries = [
    ...(yield* orNote("kept and rejected rows", filterGalleries(record, store))),
    ...(yield* orNote("captions", captionGalleries(record, store))),
    ...(yield* orNote("nearest texts", neighbourGalleries(record, store)))
  ].slice(0, maxGalleries)
  return { histories, filters, galleries, notes }
})
