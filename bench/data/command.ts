/**
 * The command line as a whole process: `node bench/data/command.ts STEPS FRESH|WARM -- ARGUMENT...`, run in the current folder.
 *
 * WARM runs it once before, so that Node's compile cache is there, as it is from a user's second call on. Prints one JSON line {seconds, mb,
 * outputs}: the exit codes. The memory is polled and Linux's.
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const [steps, how, , ...given] = process.argv.slice(2)
const bootlace = fileURLToPath(new URL("../../packages/bootlace/bin/bootlace.js", import.meta.url))

/** Peak resident memory of a process and those it has started, in MiB; 0 where it has gone or there is no /proc. */
function peakOf(pid: number): number {
  try {
    const own = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024
    const started = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean)
    return started.reduce((sum, child) => sum + peakOf(Number(child)), own)
  } catch {
    return 0
  }
}

function once(): Promise<{ readonly seconds: number; readonly mb: number; readonly code: number | null }> {
  const begin = performance.now()
  let [mb, said] = [0, ""]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bootlace, ...given], { stdio: ["ignore", "ignore", "pipe"] })
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
    const poll = setInterval(() => (mb = Math.max(mb, peakOf(child.pid!))), 20)
    child.on("error", reject)
    child.on("close", (code) => {
      clearInterval(poll)
      if (code !== 0) reject(new Error(`bootlace ${given.join(" ")} ended with ${code}: ${said}`))
      else resolve({ seconds: (performance.now() - begin) / 1000, mb, code })
    })
  })
}

if (how === "WARM") await once()
const runs = []
for (let step = 0; step < Number(steps); step++) runs.push(await once())
const mb = Math.max(...runs.map((run) => run.mb))
console.log(JSON.stringify({ seconds: runs.map(({ seconds }) => seconds), mb, outputs: runs.map(({ code }) => code) }))
