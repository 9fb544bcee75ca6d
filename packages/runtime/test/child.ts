/** A run in a process of its own, to be killed: `node child.ts STORE DELAY_MS [STEPS]`. Prints the digests of all nodes. */
import { Effect, Exit } from "effect"
import { knobs } from "./operators.ts"
import { digests, everything, runJournaled } from "./pipelines.ts"

const [store, delay, steps = "23"] = process.argv.slice(2)
knobs.delay = Number(delay)
const exit = await Effect.runPromiseExit(runJournaled(store!, everything.replace("steps: 23", `steps: ${steps}`)))
if (Exit.isSuccess(exit)) console.log(JSON.stringify({ run: exit.value.run, digests: digests(exit.value) }))
else console.log(JSON.stringify({ error: String(exit.cause) }))
process.exitCode = Exit.isSuccess(exit) ? 0 : 1
