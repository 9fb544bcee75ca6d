/**
 * Loss curves: one chart per quantity of the training histories (losses, learning rate), all runs in the same axes.
 *
 * Raw values faint, smoothed values strong. Seeds of one variant share its colour.
 */
import { chart, colour, rangeOf, scaleX, scaleY, seriesLegend } from "./Axes.ts"
import type { Frame } from "./Axes.ts"
import { html } from "./Html.ts"
import type { Html } from "./Html.ts"
import { smooth } from "./Statistics.ts"

/** One training's history.json: one entry per logged step. */
export interface History {
  /** The legend's word for it: node and variant; runs that differ only by seed share it. */
  readonly name: string
  readonly entries: ReadonlyArray<Readonly<Record<string, number>>>
}

interface Line {
  readonly series: number
  readonly steps: ReadonlyArray<number>
  readonly values: ReadonlyArray<number>
}

/** Points of a line; fewer where there are many lines, so that the page stays small. */
const maxPoints = (numLines: number): number => Math.max(100, Math.min(400, Math.round(2400 / numLines)))

/** Means of equal chunks, so that a long training draws as a short path. */
const thin = (values: ReadonlyArray<number>, points: number): ReadonlyArray<number> => {
  const size = Math.ceil(values.length / points)
  return size <= 1
    ? values
    : Array.from({ length: Math.ceil(values.length / size) }, (_, i) => {
        const chunk = values.slice(i * size, (i + 1) * size)
        return chunk.reduce((sum, x) => sum + x, 0) / chunk.length
      })
}

const lineOf = (history: History, series: number, quantity: string, points: number): ReadonlyArray<Line> => {
  const own = history.entries.filter((entry) => Number.isFinite(entry[quantity]) && Number.isFinite(entry["step"]))
  if (own.length === 0) return []
  return [
    {
      series,
      steps: thin(
        own.map((entry) => entry["step"]!),
        points
      ),
      values: thin(
        own.map((entry) => entry[quantity]!),
        points
      )
    }
  ]
}

const draw = (frame: Frame, line: Line, values: ReadonlyArray<number>, kind: string): Html =>
  html`<polyline
    class="${kind} ${colour(line.series)}"
    points="${line.steps
      .map((step, i) => `${scaleX(frame, step).toFixed(1)},${scaleY(frame, values[i]!).toFixed(1)}`)
      .join(" ")}"
  />`

const units = (quantity: string): string =>
  quantity.endsWith("_loss") || quantity === "loss"
    ? "loss (nats)"
    : quantity === "grad_norm"
      ? "gradient norm"
      : quantity.replaceAll("_", " ")

/** Losses start high: the axis ends at the 99th percentile of the raw values, so that one spike doesn't flatten the rest. */
const valueRange = (lines: ReadonlyArray<Line>) => {
  const sorted = lines.flatMap((line) => line.values).toSorted((a, b) => a - b)
  const high = sorted[Math.min(sorted.length - 1, Math.ceil(0.99 * sorted.length))]!
  const range = rangeOf([sorted[0]!, high])
  const pad = 0.04 * (range.max - range.min)
  return { min: range.min >= 0 ? Math.max(0, range.min - pad) : range.min - pad, max: range.max + pad }
}

const panel = (histories: ReadonlyArray<History>, names: ReadonlyArray<string>, quantity: string): Html | undefined => {
  const points = maxPoints(histories.length)
  const lines = histories.flatMap((history) => lineOf(history, names.indexOf(history.name), quantity, points))
  if (lines.length === 0) return undefined
  const frame: Frame = {
    width: 360,
    height: 220,
    x: rangeOf(lines.flatMap((line) => [line.steps[0]!, line.steps.at(-1)!])),
    y: valueRange(lines)
  }
  const noisy = quantity !== "learning_rate"
  const inside = (values: ReadonlyArray<number>) => values.map((y) => Math.min(frame.y.max, Math.max(frame.y.min, y)))
  return html`<figure>
    <figcaption>${quantity.replaceAll("_", " ")}</figcaption>
    ${chart(
      frame,
      { x: "step", y: units(quantity) },
      [
        ...(noisy ? lines.map((line) => draw(frame, line, inside(line.values), "raw")) : []),
        ...lines.map((line) =>
          draw(
            frame,
            line,
            noisy ? inside(smooth(line.values, Math.round(line.values.length / 40))) : line.values,
            "smooth"
          )
        )
      ],
      `${quantity} by step`
    )}
  </figure>`
}

/** Losses first, their sum and the learning rate after them, then what else was noted. */
const order = (quantity: string): number =>
  quantity.endsWith("_loss") ? 0 : quantity === "loss" ? 1 : quantity === "learning_rate" ? 2 : 3

export const curvesSection = (histories: ReadonlyArray<History>): Html | undefined => {
  // With one objective their sum is no news.
  const losses = new Set(
    histories.flatMap(({ entries }) => Object.keys(entries[0] ?? {}).filter((key) => key.endsWith("_loss")))
  )
  const sameAsOther = losses.size === 1 ? "loss" : undefined
  const quantities = [
    ...new Set(histories.flatMap((history) => history.entries.slice(0, 1).flatMap((entry) => Object.keys(entry))))
  ]
    .filter((quantity) => quantity !== "step" && quantity !== sameAsOther)
    .toSorted((a, b) => order(a) - order(b))
  if (quantities.length === 0) return undefined
  const names = [...new Set(histories.map((history) => history.name))]
  return html`${seriesLegend(names, "strong: smoothed, faint: raw")}
    <div class="panels">${quantities.map((quantity) => panel(histories, names, quantity))}</div>`
}
