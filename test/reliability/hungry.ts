/** A run whose operators keep all they see: `node --max-old-space-size=256 hungry.ts STORE`. It dies of it, which R19 wants. */
import { Effect } from "effect"
import { knobs } from "../../packages/runtime/test/operators.ts"
import { everything, run } from "../../packages/runtime/test/pipelines.ts"

const kept: Array<unknown> = []
let calls = 0
knobs.onCall = () => {
  calls += 1
  if (calls > 40) kept.push(Array.from({ length: 200_000 }, (_, i) => ({ i })))
}
await Effect.runPromise(run(process.argv[2]!, everything))
