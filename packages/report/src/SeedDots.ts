/** A comparison to look at: per metric one strip for each variant, a dot for every seed, a bar for the mean and its 95% interval. */
import { colour, rangeOf, ticks, tickText } from "./Axes.ts"
import { clip, html } from "./Html.ts"
import type { Html } from "./Html.ts"
import type { Column, ResultSet } from "./Results.ts"
import { interval95 } from "./Statistics.ts"

const width = 360
const rowHeight = 26
const maxPanels = 12

/** What a metric counts is the same for every variant. */
const sameEverywhere = (byVariant: ReadonlyArray<ReadonlyMap<string, number>>): boolean =>
  new Set(byVariant.flatMap((bySeed) => [...bySeed.values()])).size <= 1

const strip = (values: ReadonlyArray<number>, row: number, x: (value: number) => string): Html => {
  const y = row * rowHeight + rowHeight / 2 + 4
  const { mean, low, high, n } = interval95(values)
  return html`<g class="${colour(row)}"
    >${
      n > 1
        ? html`<line class="whisker" x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}" />
            <line class="mean" x1="${x(mean)}" x2="${x(mean)}" y1="${y - 8}" y2="${y + 8}" />`
        : undefined
    }${values.map((value) => html`<circle class="dot" cx="${x(value)}" cy="${y}" r="3.2" />`)}</g
  >`
}

const panel = (set: ResultSet, column: Column, byVariant: ReadonlyArray<ReadonlyMap<string, number>>): Html => {
  const left = Math.min(130, 14 + 6.6 * Math.max(...set.variants.map((variant) => Math.min(18, variant.length))))
  const seeds = byVariant.map((bySeed) => [...bySeed.values()])
  const ends = seeds.flatMap((values) => {
    const { low, high } = interval95(values)
    return [...values, ...(Number.isFinite(low) ? [low, high] : [])]
  })
  const tight = rangeOf(ends)
  const pad = 0.05 * (tight.max - tight.min)
  const range = { min: tight.min - pad, max: tight.max + pad }
  const x = (value: number) => (left + ((value - range.min) / (range.max - range.min)) * (width - left - 12)).toFixed(1)
  const bottom = set.variants.length * rowHeight + 8
  const name = column.metric.replaceAll("_", " ")
  return html`<figure>
    <figcaption>${column.node}: ${name}</figcaption>
    <svg
      class="chart"
      viewBox="0 0 ${width} ${bottom + 36}"
      role="img"
      aria-label="${name} of ${column.node} by variant"
    >
      <g class="grid">
        ${ticks(range, 4).map(
          (tick) =>
            html`<line x1="${x(tick)}" x2="${x(tick)}" y1="0" y2="${bottom}" /><text
                class="tick"
                x="${x(tick)}"
                y="${bottom + 15}"
                text-anchor="middle"
                >${tickText(tick)}</text
              >`
        )}
        <line class="base" x1="${left}" x2="${width - 12}" y1="${bottom}" y2="${bottom}" />
      </g>
      <g class="marks">${seeds.map((values, row) => (values.length === 0 ? undefined : strip(values, row, x)))}</g>
      ${set.variants.map(
        (variant, row) =>
          html`<text
            class="tick"
            x="${left - 8}"
            y="${row * rowHeight + rowHeight / 2 + 4}"
            dy="0.32em"
            text-anchor="end"
            >${clip(variant, 18)}</text
          >`
      )}
      <text class="label" x="${(left + width - 12) / 2}" y="${bottom + 31}" text-anchor="middle">${name}</text>
    </svg>
  </figure>`
}

/** Undefined where there is one variant or one seed: then the table says it all. */
export const seedDots = (set: ResultSet): Html | undefined => {
  if (set.variants.length < 2 || set.seeds.length < 2) return undefined
  const shown = set.columns
    .map((column, c) => [column, set.values[c]!] as const)
    .filter(([, byVariant]) => !sameEverywhere(byVariant))
    .slice(0, maxPanels)
  return shown.length === 0
    ? undefined
    : html`<div class="panels">${shown.map(([column, byVariant]) => panel(set, column, byVariant))}</div>
        <ul class="legend">
          <li><i class="mark">●</i>one seed</li>
          <li><i class="mark">|</i>mean</li>
          <li><i class="dash solid"></i>95% interval of the mean (Student t)</li>
        </ul>`
}
