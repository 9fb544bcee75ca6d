/** The frame of a chart: linear scales, round ticks, grid, labels with units; everything in the SVG's own pixels. */
import { html } from "./Html.ts"
import type { Html } from "./Html.ts"
import { number } from "./Numbers.ts"

export interface Range {
  readonly min: number
  readonly max: number
}
export interface Frame {
  readonly width: number
  readonly height: number
  readonly x: Range
  readonly y: Range
}

const margin = { left: 58, right: 10, top: 10, bottom: 38 }

export const rangeOf = (values: Iterable<number>): Range => {
  let min = Infinity
  let max = -Infinity
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    if (value < min) min = value
    if (value > max) max = value
  }
  if (min > max) return { min: 0, max: 1 }
  return min === max ? { min: min - 0.5, max: max + 0.5 } : { min, max }
}

/** Steps of 1, 2 or 5 times a power of ten; about `wanted` of them. */
export const ticks = (range: Range, wanted: number): ReadonlyArray<number> => {
  const rough = (range.max - range.min) / wanted
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * (rough / power >= 5 ? 10 : rough / power >= 2 ? 5 : rough / power >= 1 ? 2 : 1)
  const first = Math.ceil(range.min / step - 1e-9)
  const last = Math.floor(range.max / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

export const scaleX = (frame: Frame, x: number): number =>
  margin.left + ((x - frame.x.min) / (frame.x.max - frame.x.min)) * (frame.width - margin.left - margin.right)

export const scaleY = (frame: Frame, y: number): number =>
  frame.height -
  margin.bottom -
  ((y - frame.y.min) / (frame.y.max - frame.y.min)) * (frame.height - margin.top - margin.bottom)

export interface Labels {
  readonly x: string
  readonly y: string
}

/** A tick's value, as short as it can be said. */
export const tickText = (value: number): string => {
  if (Number.isInteger(value)) return number(value)
  const size = Math.abs(value)
  return (size < 0.01 ? value.toExponential().replace("e-", "e\u2212") : String(Number(value.toPrecision(6)))).replace(
    /^-/,
    "\u2212"
  )
}

/** An SVG element with axes; `marks` are drawn over the grid, in scaled coordinates. */
export const chart = (frame: Frame, labels: Labels, marks: Html | ReadonlyArray<Html>, title: string): Html => {
  const { width, height } = frame
  const bottom = height - margin.bottom
  const middleY = (margin.top + bottom) / 2
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
    <g class="grid">
      ${ticks(frame.y, 4).map((y) => {
        const at = scaleY(frame, y).toFixed(1)
        return html`<line x1="${margin.left}" x2="${width - margin.right}" y1="${at}" y2="${at}" /><text
            class="tick"
            x="${margin.left - 7}"
            y="${at}"
            dy="0.32em"
            text-anchor="end"
            >${tickText(y)}</text
          >`
      })}
      ${ticks(frame.x, 5).map((x) => {
        const at = scaleX(frame, x).toFixed(1)
        return html`<line class="short" x1="${at}" x2="${at}" y1="${bottom}" y2="${bottom + 4}" /><text
            class="tick"
            x="${at}"
            y="${bottom + 16}"
            text-anchor="middle"
            >${tickText(x)}</text
          >`
      })}
      <line class="base" x1="${margin.left}" x2="${width - margin.right}" y1="${bottom}" y2="${bottom}" />
    </g>
    <g class="marks">${marks}</g>
    <text class="label" x="${(margin.left + width - margin.right) / 2}" y="${height - 5}" text-anchor="middle">
      ${labels.x}
    </text>
    <text class="label" transform="translate(12 ${middleY}) rotate(-90)" text-anchor="middle">${labels.y}</text>
  </svg>`
}

/** How many colours the style sheet has for series; further ones come again, dashed. */
export const numColours = 8
export const colour = (series: number): string => `c${series % numColours}${series >= numColours ? " again" : ""}`

/** One line per series: a swatch and its name. */
export const seriesLegend = (names: ReadonlyArray<string>, note?: string): Html =>
  html`<ul class="legend">
    ${names.map((name, i) => html`<li><i class="line ${colour(i)}"></i>${name}</li>`)}${
      note === undefined ? undefined : html`<li class="note">${note}</li>`
    }
  </ul>`
