/**
 * A run among others in one store: `node neighbour.ts STORE NUMBER`. The plans share all nodes but one. Prints the digests of
 * all nodes, or the error.
 */
import { Effect, Exit } from "effect"
import { knobs } from "../../packages/runtime/test/operators.ts"
import { digests, runJournaled } from "../../packages/runtime/test/pipelines.ts"
import { neighbourPlan } from "./neighbourPlan.ts"

const [store, number] = process.argv.slice(2)
knobs.delay = 2
const exit = await Effect.runPromiseExit(runJournaled(store!, neighbourPlan(Number(number))))
console.log(JSON.stringify(Exit.isSuccess(exit) ? { digests: digests(exit.value) } : { error: String(exit.cause) }))
