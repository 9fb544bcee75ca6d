/** Runs a plan with the engine and the store's journal at hand, its progress on stderr. */
import { ArtifactStore } from "@bootlace/data"
import type { Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { LoadedModels } from "@bootlace/operators"
import { AtWork, runPlan, storeJournal } from "@bootlace/runtime"
import type { History } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import type { LoadedPipeline } from "./LoadPipeline.ts"
import { unitsOf } from "./Progress.ts"
import { note, stderrScreen } from "./Screen.ts"
import { showProgress } from "./ShowProgress.ts"
import { tellSupervisor } from "./Supervised.ts"
import { counted, printable } from "./Table.ts"

/** What operators may ask for. */
type Services = Engine | LoadedModels | Files

/** `run 1ngap8e-x3na goes on: attempt 3, 14 tasks done; pretrain was interrupted, 2 tries so far`. */
export const resumedText = (run: string, { attempt, done, open }: History): string => {
  if (attempt === 1) return `run ${run} goes on`
  const tasks = open.map(({ nodes, status, tries }) => {
    const names = nodes.length > 2 ? `${nodes[0]} and ${nodes.length - 1} others` : nodes.join(" and ")
    const verb = nodes.length > 1 ? "were" : "was"
    const soFar = tries === 1 ? "" : `, ${tries} tries so far`
    return status === "failed" ? `${names} failed${soFar}` : `${names} ${verb} interrupted${soFar}`
  })
  const count = [...done.values()].reduce((sum, { nodes }) => sum + nodes.length, 0)
  return [`run ${run} goes on: attempt ${attempt}, ${counted(count, "task")} done`, ...tasks].join("; ")
}

/** `events`: a file that gets the progress as lines of JSON. */
export const runAndShow = Effect.fnUntraced(function* ({ plan, directory }: LoadedPipeline, events?: string) {
  const { numerics } = yield* Engine
  const { root } = yield* ArtifactStore
  yield* showProgress(unitsOf(plan), stderrScreen(), events)
  const onResume = (run: string, history: History) => note(printable(resumedText(run, history)))
  return yield* runPlan<Services>(plan, { directory, numerics, engine: numerics, onResume }).pipe(
    Effect.provide(storeJournal(root)),
    Effect.provideService(AtWork, tellSupervisor(plan))
  )
}, Effect.scoped)
