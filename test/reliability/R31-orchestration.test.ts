/**
 * R31: the orchestration database. Whatever happens to it between two runs or while they are at work, the runs end with the bytes of an
 * undisturbed one, and do no work again that they would not have done again with the database whole. What it calls done, after
 * `kill -9` too, is in the store.
 */
import { Effect, Exit, Logger } from "effect"
import { spawn } from "node:child_process"
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { afterEach, assert, describe, it } from "vitest"
import { openSqlite } from "../../packages/runtime/src/SqliteClient.ts"
import { calls, knobs, resetCalls, resetKnobs } from "../../packages/runtime/test/operators.ts"
import { digests, everything, runJournaled } from "../../packages/runtime/test/pipelines.ts"
import { emptyFolder } from "../bootlace.ts"
import { neighbourPlan } from "./neighbourPlan.ts"
import { undisturbed } from "./simulated.ts"
import { chances, figure, patience, times } from "./torture.ts"

afterEach(() => {
  resetKnobs()
  resetCalls()
})

type Chance = () => number
const database = (store: string, companion = ""): string => join(store, `orchestration.sqlite${companion}`)

const rewrite = (path: string, change: (bytes: Buffer<ArrayBuffer>) => Uint8Array): void => {
  if (existsSync(path)) writeFileSync(path, change(readFileSync(path)))
}

const damages: Readonly<Record<string, (store: string, chance: Chance) => void>> = {
  deleted: (store) => ["", "-wal", "-shm"].forEach((companion) => rmSync(database(store, companion), { force: true })),
  "deleted, but not its log": (store) => rmSync(database(store)),
  "without its log": (store) => ["-wal", "-shm"].forEach((each) => rmSync(database(store, each), { force: true })),
  cut: (store, chance) => rewrite(database(store), (bytes) => bytes.subarray(0, Math.floor(chance() * bytes.length))),
  "log cut": (store, chance) =>
    rewrite(database(store, "-wal"), (bytes) => bytes.subarray(0, Math.floor(chance() * bytes.length))),
  garbage: (store, chance) => writeFileSync(database(store), "no database ".repeat(1 + Math.floor(chance() * 4000))),
  flipped: (store, chance) =>
    rewrite(database(store), (bytes) => {
      for (let n = 0; n < 64; n++) bytes[Math.floor(chance() * bytes.length)]! ^= 1 + Math.floor(chance() * 255)
      return bytes
    })
}

interface Ended {
  readonly made: Readonly<Record<string, string>> | undefined
  readonly warnings: ReadonlyArray<string>
  readonly calls: Readonly<Record<string, number>>
}

/** A run in this process. */
const runHere = async (store: string): Promise<Ended> => {
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => void warnings.push(String(message)))
  resetCalls()
  const run = runJournaled(store, everything).pipe(Effect.provide(Logger.layer([logger])))
  const exit = await Effect.runPromiseExit(run)
  return { made: Exit.isSuccess(exit) ? digests(exit.value) : undefined, warnings, calls: { ...calls } }
}

/** What `kill -9` at that call of an operator would leave: the database's last writes are still in the log beside it. */
const leave = async (dieAt: number): Promise<string> => {
  const [store, left] = [emptyFolder(), emptyFolder()]
  let seen = 0
  knobs.onCall = () => {
    if (++seen !== dieAt) return
    cpSync(store, left, { recursive: true })
    throw new Error("killed")
  }
  assert.isUndefined((await runHere(store)).made)
  resetKnobs()
  return left
}

interface Told {
  readonly integrity: string
  readonly executions: ReadonlyArray<string>
  /** Keys of what is called done and isn't in the store. */
  readonly missing: ReadonlyArray<string>
  readonly done: number
}

const tell = (store: string): Promise<Told> =>
  Effect.gen(function* () {
    const sql = yield* openSqlite(database(store))
    const [check] = yield* sql<{ readonly integrity_check: string }>`PRAGMA integrity_check`
    const runs = yield* sql<{ readonly status: string }>`SELECT status FROM executions`
    const done = yield* sql<{ readonly result: string }>`SELECT result FROM tries WHERE status = 'done'`
    const stored = new Set(readdirSync(join(store, "artifacts")))
    return {
      integrity: check!.integrity_check,
      executions: runs.map(({ status }) => status),
      missing: done.flatMap(({ result }) => JSON.parse(result) as Array<string>).filter((key) => !stored.has(key)),
      done: done.length
    }
  }).pipe(Effect.scoped, Effect.runPromise)

const child = join(import.meta.dirname, "../../packages/runtime/test/child.ts")

/** With the database open, a run takes its lock. */
const isLocked = (store: string): boolean =>
  existsSync(join(store, "locks")) && readdirSync(join(store, "locks")).length > 0

const artifactsIn = (store: string): number =>
  existsSync(join(store, "artifacts")) ? readdirSync(join(store, "artifacts")).length : 0

/** Kills a run once it holds its lock and has put so many artifacts into the store. False where it was done before. */
const killed = async (store: string, more: number): Promise<boolean> => {
  const enough = artifactsIn(store) + more
  // The one before may have left its lock.
  rmSync(join(store, "locks"), { recursive: true, force: true })
  const run = spawn(process.execPath, [child, store, "2"], { stdio: "ignore" })
  const ended = new Promise<NodeJS.Signals | null>((resolve) => run.on("exit", (_, signal) => resolve(signal)))
  while (run.exitCode === null && !(isLocked(store) && artifactsIn(store) >= enough)) await setTimeout(2)
  run.kill("SIGKILL")
  return (await ended) === "SIGKILL"
}

const neighbour = (store: string, number: number): Promise<Readonly<Record<string, string>>> =>
  new Promise((resolve, reject) => {
    const run = spawn(process.execPath, [join(import.meta.dirname, "neighbour.ts"), store, String(number)])
    let output = ""
    run.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    run.on("close", () => {
      const { digests: made, error } = JSON.parse(output.trim().split("\n").at(-1) || "{}")
      if (made === undefined) reject(new Error(error ?? "it said nothing"))
      else resolve(made)
    })
  })

describe("the orchestration database", () => {
  it(
    "R31: deleted or damaged between two runs, nothing is lost and nothing more is done",
    async () => {
      const expected = digests(await undisturbed(everything))
      const rounds = times(2)
      let [warned, total] = [0, 0]
      for (const [kind, damage] of Object.entries(damages)) {
        for (let round = 0; round < rounds; round++) {
          const chance = chances("R31", kind, round)
          const store = await leave(2 + Math.floor(chance() * 66))
          const whole = emptyFolder()
          cpSync(store, whole, { recursive: true })
          damage(store, chance)
          const undamaged = await runHere(whole)
          const ended = await runHere(store)
          assert.deepStrictEqual(ended.made, expected, `${kind} ${round}\n${ended.warnings.join("\n")}`)
          assert.deepStrictEqual(ended.calls, undamaged.calls, `${kind} ${round}`)
          assert.isAtMost(ended.warnings.length, 1, `${kind} ${round}\n${ended.warnings.join("\n")}`)
          warned += ended.warnings.length
          total += 1
        }
      }
      figure(
        "R31",
        `${total} interrupted runs, their database ${Object.keys(damages).join(", ")}: 0 ended differently, 0 did more, ${warned} warned once`
      )
    },
    patience(600_000)
  )

  it(
    "R31: kill -9 leaves it whole, and what it calls done is in the store",
    async () => {
      const expected = digests(await undisturbed(everything))
      const kills = times(5)
      const chance = chances("R31", "kill")
      let [hit, done] = [0, 0]
      let store = emptyFolder()
      for (let n = 0; n < kills; n++) {
        if (await killed(store, Math.floor(chance() * 16))) hit += 1
        const told = await tell(store)
        assert.strictEqual(told.integrity, "ok", `kill ${n}`)
        assert.deepStrictEqual(told.missing, [], `kill ${n}`)
        done += told.done
        if (n % 2 === 1) continue
        assert.deepStrictEqual((await runHere(store)).made, expected, `kill ${n}`)
        const after = await tell(store)
        assert.isTrue(after.executions.every((status) => status === "done"))
        store = emptyFolder()
      }
      assert.isAtLeast(hit, 1)
      assert.isAtLeast(done, hit)
      figure("R31", `${hit} kills: ${done} tasks called done, 0 of them not in the store; 0 ended differently`)
    },
    patience(600_000)
  )

  it(
    "R31: deleted while four processes write into it, all end right",
    async () => {
      const numbers = [0, 1, 2, 3]
      const expected = await Promise.all(numbers.map(async (n) => digests(await undisturbed(neighbourPlan(n)))))
      const rounds = times(1)
      for (let round = 0; round < rounds; round++) {
        const store = emptyFolder()
        const all = Promise.all(numbers.map((number) => neighbour(store, number)))
        while (!existsSync(database(store))) await setTimeout(5)
        await setTimeout(400 * chances("R31", "delete", round)())
        damages["deleted"]!(store, () => 0)
        assert.deepStrictEqual(await all, expected, `round ${round}`)
        const undeleted = emptyFolder()
        assert.deepStrictEqual(await Promise.all(numbers.map((number) => neighbour(undeleted, number))), expected)
        const told = await tell(undeleted)
        assert.deepStrictEqual([told.integrity, told.executions.length, told.missing], ["ok", 4, []])
        assert.isTrue(told.executions.every((status) => status === "done"))
      }
      figure("R31", `deleted under ${4 * rounds} processes, and kept under as many: 0 ended differently`)
    },
    patience(600_000)
  )
})
