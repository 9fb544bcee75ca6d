/**
 * Progress as text: bars with rate and time to go for a terminal, plain lines for a log. Pure: times come in, in milliseconds.
 *
 *   train      ########--------  412/800 steps  5.1/s  1 min 16 s left  itc_loss 2.31
 *   3 of 21 nodes  00:41
 */
import type { Plan } from "@bootlace/graph"
import type { ProgressEvent } from "@bootlace/runtime"
import { printable } from "./Table.ts"

export type Unit = "rows" | "steps"

/** What each node of a plan counts. */
export const unitsOf = (plan: Plan): ReadonlyMap<string, Unit> =>
  new Map(plan.nodes.map((node) => [node.id, node.operator.kind === "train" ? "steps" : "rows"]))

interface Bar {
  readonly unit: Unit
  readonly total: number | undefined
  readonly done: number
  /** (time, done) of the last advances, oldest first: the rate is taken over them. */
  readonly recent: ReadonlyArray<readonly [number, number]>
  readonly values: Readonly<Record<string, number>>
}

export interface Progress {
  /** By node, of all nodes of the plan. */
  readonly units: ReadonlyMap<string, Unit>
  readonly started: number
  readonly running: ReadonlyMap<string, Bar>
  readonly finished: number
  /** Of those that are finished: nothing was computed. */
  readonly cached: number
}

const rateWindow = 15_000

export const startProgress = (units: ReadonlyMap<string, Unit>, now: number): Progress => ({
  units,
  started: now,
  running: new Map(),
  finished: 0,
  cached: 0
})

const barAfter = (bar: Bar | undefined, unit: Unit, event: ProgressEvent, now: number): Bar => {
  const recent = bar?.recent ?? []
  const kept = recent.filter(([time], i) => i === recent.length - 1 || now - time <= rateWindow)
  return {
    unit,
    done: event.done,
    total: event.total ?? bar?.total,
    // What a resumed node had done already is no rate: counting begins with the first advance.
    recent: event.message === "started" ? [] : [...kept, [now, event.done]],
    values: Object.keys(event.metrics).length > 0 ? event.metrics : (bar?.values ?? {})
  }
}

/** `now` in milliseconds. */
export const advance = (progress: Progress, event: ProgressEvent, now: number): Progress => {
  const { node, message } = event
  const running = new Map(progress.running)
  if (message === "started" || message === "running") {
    running.set(node, barAfter(running.get(node), progress.units.get(node) ?? "rows", event, now))
    return { ...progress, running }
  }
  running.delete(node)
  const cached = progress.cached + (message === "cached" ? 1 : 0)
  return { ...progress, running, finished: progress.finished + 1, cached }
}

/** Per second, over the last quarter of a minute; undefined until something has been done. */
export const rateOf = (bar: Pick<Bar, "recent">): number | undefined => {
  const [first, last] = [bar.recent[0], bar.recent.at(-1)]
  if (first === undefined || last === undefined || last[0] <= first[0] || last[1] <= first[1]) return undefined
  return (1000 * (last[1] - first[1])) / (last[0] - first[0])
}

/** `0:41`, `12:07`, `1:02:33`. */
export const clock = (milliseconds: number): string => {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  const two = (n: number) => String(n).padStart(2, "0")
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}

const rateText = (rate: number): string =>
  `${rate >= 100 ? Math.round(rate) : rate >= 10 ? rate.toFixed(1) : rate.toFixed(2)}/s`

/** Losses, and their sum where there are several. */
const valueText = (values: Readonly<Record<string, number>>): string => {
  const losses = Object.entries(values).filter(([name]) => name.endsWith("_loss"))
  const sum = losses.length === 1 ? [] : Object.entries(values).filter(([name]) => name === "loss")
  return [...losses, ...sum].map(([name, value]) => `${name} ${value.toPrecision(3)}`).join("  ")
}

const barText = (share: number, width: number): string => {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width)
  return "#".repeat(full) + "-".repeat(width - full)
}

const counted = (bar: Bar): string => `${bar.done}${bar.total === undefined ? "" : `/${bar.total}`} ${bar.unit}`

const timeLeft = (bar: Bar): string | undefined => {
  const rate = rateOf(bar)
  if (rate === undefined || bar.total === undefined || bar.done >= bar.total) return undefined
  return `${clock((1000 * (bar.total - bar.done)) / rate)} left`
}

const details = (bar: Bar): string => {
  const rate = rateOf(bar)
  return [counted(bar), rate === undefined ? undefined : rateText(rate), timeLeft(bar), valueText(bar.values)]
    .filter((part) => part !== undefined && part !== "")
    .join("  ")
}

const cut = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 1)}\u2026`)

const maxBars = 8

/** What stands at the bottom of a terminal: at most nine lines, none longer than `width`. */
export const renderBars = (progress: Progress, now: number, width: number): ReadonlyArray<string> => {
  const names = [...progress.running.keys()].slice(0, maxBars)
  const nameWidth = Math.min(28, Math.max(8, ...names.map((name) => name.length)))
  const lines = names.map((name) => {
    const bar = progress.running.get(name)!
    const gauge = bar.total === undefined || bar.total === 0 ? " ".repeat(20) : barText(bar.done / bar.total, 20)
    return cut(`${cut(printable(name), nameWidth).padEnd(nameWidth)}  ${gauge}  ${details(bar)}`, width)
  })
  const more = progress.running.size - names.length
  const cached = progress.cached === 0 ? "" : ` (${progress.cached} cached)`
  const summary = `${progress.finished} of ${progress.units.size} nodes${cached}  ${clock(now - progress.started)}${more > 0 ? `  ${more} more at work` : ""}`
  return [...lines, cut(summary, width)]
}

const seconds = (value: number): string => (value < 10 ? `${value.toFixed(2)} s` : `${value.toFixed(1)} s`)

/** One line of a log for the beginning and end of a node's work; undefined for what lies between. */
export const plainLine = (event: ProgressEvent, unit: Unit): string | undefined => {
  const node = printable(event.node)
  switch (event.message) {
    case "started":
      return `${node}: started${event.total === undefined ? "" : `, ${event.total} ${unit}`}`
    case "running":
      return undefined
    case "cached":
      return `${node}: cached`
    case "finished":
      return `${node}: ${event.done} ${unit} in ${seconds(event.seconds)}`
  }
}

/** A log's line about work under way. */
export const plainStatus = (progress: Progress): ReadonlyArray<string> =>
  [...progress.running].map(([node, bar]) => `${printable(node)}: ${details(bar)}`)
