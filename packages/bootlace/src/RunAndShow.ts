/** Runs a plan with the engine at hand, its progress on stderr. */
import type { Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { LoadedModels } from "@bootlace/operators"
import { runPlan } from "@bootlace/runtime"
import { Effect } from "effect"
import type { LoadedPipeline } from "./LoadPipeline.ts"
import { unitsOf } from "./Progress.ts"
import { stderrScreen } from "./Screen.ts"
import { showProgress } from "./ShowProgress.ts"

/** What operators may ask for. */
type Services = Engine | LoadedModels | Files

/** `events`: a file that gets the progress as lines of JSON. */
export const runAndShow = Effect.fnUntraced(function* ({ plan, directory }: LoadedPipeline, events?: string) {
  const { numerics } = yield* Engine
  yield* showProgress(unitsOf(plan), stderrScreen(), events)
  return yield* runPlan<Services>(plan, { directory, numerics, engine: numerics })
}, Effect.scoped)
