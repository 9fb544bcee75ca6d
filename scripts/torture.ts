/**
 * The rows of docs/reliability.md at length: `npm run torture -- --seed S --kills N [row ...]`.
 *
 *   --seed    where every random choice comes from (1)
 *   --kills   of R1; the other rows do N / 50 times what they do on every push (50)
 *   row       R01, R29 ...: only these
 */
import { spawnSync } from "node:child_process"
import { parseArgs } from "node:util"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string", default: "1" }, kills: { type: "string", default: "50" } }
})
const rows = positionals.length > 0 ? positionals : [""]
const paths = rows.map((row) => `test/reliability/${row}`)
const env = { ...process.env, BOOTLACE_TORTURE_SEED: values.seed, BOOTLACE_TORTURE_KILLS: values.kills }
process.exitCode = spawnSync("vitest", ["run", ...paths], { stdio: "inherit", env }).status ?? 1
