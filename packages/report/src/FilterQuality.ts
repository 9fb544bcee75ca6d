/**
 * How well a filter tells matched from mismatched pairs, where the rows carry a flag that knows: precision and recall of
 * what was kept (positive = matched), the area under the ROC curve of its score, and the two score histograms.
 */
import { chart, scaleX, scaleY, seriesLegend, colour } from "./Axes.ts"
import type { Frame } from "./Axes.ts"
import { html } from "./Html.ts"
import type { Html } from "./Html.ts"
import { count, number, percent } from "./Numbers.ts"
import { rocAuc } from "./Statistics.ts"

export interface FilterRows {
  /** The node. */
  readonly name: string
  /** The flag column that knows the truth. */
  readonly flagName: string
  /** The column that was compared, where the rows hold it. */
  readonly scoreName?: string
  readonly rows: ReadonlyArray<{ readonly kept: boolean; readonly flag: boolean; readonly score?: number }>
}

export interface Quality {
  readonly rows: number
  readonly kept: number
  readonly matched: number
  /** Share of matched rows among all: what keeping everything would give. */
  readonly base: number
  readonly precision: number
  readonly recall: number
  /** Share of mismatched rows among the rejected. */
  readonly rejectedPrecision: number
  /** Share of the mismatched rows that were rejected. */
  readonly rejectedRecall: number
  readonly auc: number | undefined
}

export const quality = (filter: FilterRows): Quality => {
  const { rows } = filter
  const kept = rows.filter((row) => row.kept)
  const matched = rows.filter((row) => row.flag)
  const hits = kept.filter((row) => row.flag).length
  const noise = rows.length - matched.length
  const noiseOut = noise - (kept.length - hits)
  const scored = rows.every((row) => row.score !== undefined) && rows.length > 0
  return {
    rows: rows.length,
    kept: kept.length,
    matched: matched.length,
    base: matched.length / rows.length,
    precision: hits / kept.length,
    recall: hits / matched.length,
    rejectedPrecision: noiseOut / (rows.length - kept.length),
    rejectedRecall: noiseOut / noise,
    auc: scored
      ? rocAuc(
          rows.map((row) => row.score!),
          rows.map((row) => row.flag)
        )
      : undefined
  }
}

const numBins = 24

interface Histogram {
  readonly from: number
  readonly to: number
  readonly counts: ReadonlyArray<number>
}

/** Counts in equal bins over [from, to]; the last bin includes its end. */
export const histogram = (values: ReadonlyArray<number>, from: number, to: number): Histogram => {
  const counts = Array.from({ length: numBins }, () => 0)
  for (const value of values) {
    const bin = Math.min(numBins - 1, Math.max(0, Math.floor(((value - from) / (to - from)) * numBins)))
    counts[bin] = counts[bin]! + 1
  }
  return { from, to, counts }
}

const outline = (frame: Frame, bins: Histogram): string => {
  const width = (bins.to - bins.from) / numBins
  const y = (n: number) => scaleY(frame, n).toFixed(1)
  const x = (i: number) => scaleX(frame, bins.from + i * width).toFixed(1)
  return `M${x(0)} ${y(0)}${bins.counts.map((n, i) => `L${x(i)} ${y(n)}L${x(i + 1)} ${y(n)}`).join("")}L${x(numBins)} ${y(0)}Z`
}

/** The cut, if there is one: every kept row scores above every rejected one. */
export const cutOf = (filter: FilterRows): number | undefined => {
  const kept = filter.rows.flatMap((row) => (row.kept && row.score !== undefined ? [row.score] : []))
  const rejected = filter.rows.flatMap((row) => (!row.kept && row.score !== undefined ? [row.score] : []))
  const low = kept.reduce((a, b) => Math.min(a, b), Infinity)
  const high = rejected.reduce((a, b) => Math.max(a, b), -Infinity)
  return Number.isFinite(low) && Number.isFinite(high) && low >= high ? (low + high) / 2 : undefined
}

const scoreChart = (filter: FilterRows): Html | undefined => {
  const scores = filter.rows.flatMap((row) => (row.score === undefined ? [] : [row.score]))
  if (scores.length === 0 || filter.scoreName === undefined) return undefined
  const low = scores.reduce((a, b) => Math.min(a, b), Infinity)
  const high = scores.reduce((a, b) => Math.max(a, b), -Infinity)
  // A probability is shown from 0 to 1, unless the scores fill only a corner of that.
  const whole = low >= 0 && high <= 1 && high - low > 0.4
  const from = whole ? 0 : low
  const to = whole ? 1 : high === low ? low + 1 : high
  const bins = [true, false].map((flag) =>
    histogram(
      filter.rows.flatMap((row) => (row.flag === flag && row.score !== undefined ? [row.score] : [])),
      from,
      to
    )
  )
  const frame: Frame = {
    width: 460,
    height: 220,
    x: { min: from, max: to },
    y: { min: 0, max: 1.05 * Math.max(1, ...bins.flatMap((each) => each.counts)) }
  }
  const cut = cutOf(filter)
  return html`<figure>
    <figcaption>${filter.scoreName.replaceAll("_", " ")} by truth</figcaption>
    ${chart(
      frame,
      { x: filter.scoreName.replaceAll("_", " "), y: "rows" },
      [
        ...bins.map((each, i) => html`<path class="area ${colour(i)}" d="${outline(frame, each)}" />`),
        ...(cut === undefined
          ? []
          : [
              html`<line
                class="cut"
                x1="${scaleX(frame, cut).toFixed(1)}"
                x2="${scaleX(frame, cut).toFixed(1)}"
                y1="${scaleY(frame, 0).toFixed(1)}"
                y2="${scaleY(frame, frame.y.max).toFixed(1)}"
              />`
            ])
      ],
      `Histogram of ${filter.scoreName}`
    )}${seriesLegend(
      [`${filter.flagName}: true`, `${filter.flagName}: false`],
      cut === undefined ? undefined : `dashed: kept from ${number(cut)} up`
    )}
  </figure>`
}

const oneFilter = (filter: FilterRows): Html => {
  const q = quality(filter)
  const figures: ReadonlyArray<readonly [string, string]> = [
    ["rows", count(q.rows)],
    ["kept", `${count(q.kept)} (${percent(q.kept / q.rows)})`],
    [`${filter.flagName} before`, percent(q.base)],
    ["precision of kept", percent(q.precision)],
    ["recall of kept", percent(q.recall)],
    ["precision of rejected", percent(q.rejectedPrecision)],
    ["recall of rejected", percent(q.rejectedRecall)],
    ...(q.auc === undefined ? [] : [["ROC AUC of the score", number(q.auc)] as const])
  ]
  return html`<section class="filter">
    <h3>${filter.name}</h3>
    <div class="beside">
      <table class="facts">
        <tbody>
          ${figures.map(
            ([name, value]) =>
              html`<tr>
                <th scope="row">${name}</th>
                <td class="num">${value}</td>
              </tr>`
          )}
        </tbody>
      </table>
      ${scoreChart(filter)}
    </div>
  </section>`
}

export const filterSection = (filters: ReadonlyArray<FilterRows>): Html | undefined => {
  const known = filters.filter((filter) => filter.rows.length > 0)
  return known.length === 0
    ? undefined
    : html`${known.map(oneFilter)}
        <p class="caption">
          Kept is the positive decision, a true flag the positive class; rejected is judged the other way round:
          precision is the share of mismatches among the rejected.
        </p>`
}
