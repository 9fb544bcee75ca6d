/** Keeps a store of the present format for R28: `node test/reliability/keepStore.ts FOLDER`, once for each release. */
import { Effect } from "effect"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { digests, run } from "../../packages/runtime/test/pipelines.ts"
import { little } from "./simulated.ts"

const folder = process.argv[2]!
const record = await Effect.runPromise(run(join(folder, "store"), little))
for (const name of ["runs", "tmp", "locks"]) rmSync(join(folder, "store", name), { recursive: true, force: true })
writeFileSync(join(folder, "pipeline.yaml"), little.trimStart())
writeFileSync(join(folder, "digests.json"), `${JSON.stringify(digests(record), null, 2)}\n`)
