/** Progress on stderr while a run goes on: bars that redraw on a terminal, lines otherwise, and NDJSON into a file. */
import { Progress as ProgressHub } from "@bootlace/runtime"
import type { ProgressEvent } from "@bootlace/runtime"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Schedule from "effect/Schedule"
import { createWriteStream } from "node:fs"
import { usage } from "./Failure.ts"
import { advance, plainLine, plainStatus, renderBars, startProgress } from "./Progress.ts"
import type { Progress, Unit } from "./Progress.ts"
import type { Screen } from "./Screen.ts"

const redrawEvery = "150 millis"
const statusEvery = "20 seconds"

/** Lines at the bottom of the terminal that are replaced each time. */
class LiveLines {
  #shown = 0

  replace(lines: ReadonlyArray<string>): void {
    const up = this.#shown === 0 ? "" : `\u001b[${this.#shown}A`
    process.stderr.write(`${up}\u001b[0J${lines.map((line) => `${line}\n`).join("")}`)
    this.#shown = lines.length
  }
}

/** Opens a file for events; what it returns writes one line. */
const eventWriter = Effect.fnUntraced(function* (path: string) {
  const stream = createWriteStream(path, { flags: "w" })
  yield* Effect.callback<void, ReturnType<typeof usage>>((resume) => {
    stream.once("open", () => resume(Effect.void))
    stream.once("error", (cause) => resume(Effect.fail(usage(`error: --events ${path}: ${cause.message}`))))
  })
  yield* Effect.addFinalizer(() => Effect.promise(() => new Promise<void>((done) => stream.end(() => done()))))
  return (event: ProgressEvent, now: number) => {
    stream.write(`${JSON.stringify({ time: new Date(now).toISOString(), ...event })}\n`)
  }
})

/** Shows the progress of a run until the scope closes. */
export const showProgress = Effect.fnUntraced(function* (
  units: ReadonlyMap<string, Unit>,
  screen: Screen,
  events: string | undefined
) {
  const hub = yield* ProgressHub
  const write = events === undefined ? undefined : yield* eventWriter(events)
  const subscription = yield* PubSub.subscribe(hub)
  const live = screen.live ? new LiveLines() : undefined
  let progress: Progress = startProgress(units, yield* Clock.currentTimeMillis)

  const show = Effect.fnUntraced(function* (event: ProgressEvent) {
    const now = yield* Clock.currentTimeMillis
    write?.(event, now)
    progress = advance(progress, event, now)
    const line = plainLine(event, units.get(event.node) ?? "rows")
    if (live === undefined && line !== undefined) process.stderr.write(`${line}\n`)
  })
  const draw = Effect.map(Clock.currentTimeMillis, (now) => {
    if (live !== undefined) live.replace(renderBars(progress, now, screen.width))
    else for (const line of plainStatus(progress)) process.stderr.write(`${line}\n`)
  })
  // The fibers below end first; what they left in the queue is shown last.
  yield* Effect.addFinalizer(() => Effect.sync(() => live?.replace([])))
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(PubSub.takeUpTo(subscription, Infinity), (rest) => Effect.forEach(rest, show, { discard: true }))
  )
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(PubSub.take(subscription), show)))
  yield* Effect.forkScoped(Effect.schedule(draw, Schedule.spaced(screen.live ? redrawEvery : statusEvery)))
})
