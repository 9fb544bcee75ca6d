/**
 * Results as tables: metrics by node; under a matrix one row per variant with mean and spread over seeds, and the paired
 * differences between variants over the seeds that both have, with 95% intervals.
 */
import { html } from "./Html.ts"
import type { Html } from "./Html.ts"
import { number, signed } from "./Numbers.ts"
import { seedDots } from "./SeedDots.ts"
import { deviation, mean, pairedDifference } from "./Statistics.ts"
import type { Interval } from "./Statistics.ts"
import type { Measured } from "./Variants.ts"

export interface Column {
  readonly node: string
  readonly metric: string
}

/** Metrics of the nodes that have the same variants; values by column, variant and seed. */
export interface ResultSet {
  /** In the order of the matrix; `[""]` outside of one. */
  readonly variants: ReadonlyArray<string>
  /** None where the pipeline has no axis of seeds. */
  readonly seeds: ReadonlyArray<string>
  readonly columns: ReadonlyArray<Column>
  /** values[column][variant]: seed to value. */
  readonly values: ReadonlyArray<ReadonlyArray<ReadonlyMap<string, number>>>
}

/** `r1`, `r5`, `r10`. */
const byName = new Intl.Collator("en", { numeric: true })

const distinct = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(values)]

/** Groups measurements into tables whose rows are the same variants. */
export const resultSets = (measured: ReadonlyArray<Measured>): ReadonlyArray<ResultSet> => {
  const nodes = [...Map.groupBy(measured, (m) => m.node)]
  const variantsOf = (own: ReadonlyArray<Measured>) =>
    distinct(own.toSorted((a, b) => a.order - b.order).map((m) => m.variant))
  const tables = Map.groupBy(nodes, ([, own]) => JSON.stringify(variantsOf(own)))
  return [...tables].map(([key, members]): ResultSet => {
    const all = members.flatMap(([, own]) => own)
    const variants = JSON.parse(key) as ReadonlyArray<string>
    const columns = members.flatMap(([node, own]) =>
      distinct(own.map((m) => m.metric))
        .toSorted(byName.compare)
        .map((metric): Column => ({ node, metric }))
    )
    const values = columns.map((column) =>
      variants.map(
        (variant) =>
          new Map(
            all
              .filter((m) => m.node === column.node && m.metric === column.metric && m.variant === variant)
              .map((m) => [m.seed, m.value])
          )
      )
    )
    return { variants, seeds: distinct(all.map((m) => m.seed).filter((seed) => seed !== "")), columns, values }
  })
}

const words = (name: string): string => name.replaceAll("_", " ")

/** `0.4123`, or `0.4123 ± 0.0031` over several seeds. */
const cell = (bySeed: ReadonlyMap<string, number>): Html => {
  const values = [...bySeed.values()]
  if (values.length === 0) return html`<td class="num none">–</td>`
  const spread = values.length > 1 ? html` <span class="spread">± ${number(deviation(values))}</span>` : undefined
  return html`<td class="num">${number(mean(values))}${spread}</td>`
}

const spans = (columns: ReadonlyArray<Column>): ReadonlyArray<readonly [string, number]> =>
  [...Map.groupBy(columns, (column) => column.node)].map(([node, own]) => [node, own.length])

const heads = (set: ResultSet, corner: string): Html =>
  html`<thead>
    <tr>
      <th rowspan="2">${corner}</th>
      ${spans(set.columns).map(([node, span]) => html`<th class="group" colspan="${span}">${node}</th>`)}
    </tr>
    <tr>
      ${set.columns.map((column) => html`<th class="num">${words(column.metric)}</th>`)}
    </tr>
  </thead>`

const variantTable = (set: ResultSet): Html =>
  html`<div class="scroll">
      <table>
        ${heads(set, "variant")}
        <tbody>
          ${set.variants.map(
            (variant, v) =>
              html`<tr>
                <th scope="row">${variant === "" ? "all" : variant}</th>
                ${set.columns.map((_, c) => cell(set.values[c]![v]!))}
              </tr>`
          )}
        </tbody>
      </table>
    </div>
    <p class="caption">
      ${
        set.seeds.length > 1
          ? `Mean \u00b1 standard deviation over ${set.seeds.length} seeds.`
          : "One seed: no spread to show."
      }
    </p>`

const difference = (interval: Interval): Html =>
  Number.isNaN(interval.mean)
    ? html`<td class="num none">–</td>`
    : interval.n < 2
      ? html`<td class="num">${signed(interval.mean)}<br /><span class="spread">one pair</span></td>`
      : html`<td class="num${interval.resolved ? " resolved" : ""}">
          ${signed(interval.mean)}${interval.resolved ? undefined : html` <span class="spread">not resolved</span>`}<br />
          <span class="spread">[${signed(interval.low)}, ${signed(interval.high)}]</span>
        </td>`

const pairsOf = (n: number): ReadonlyArray<readonly [number, number]> =>
  Array.from({ length: n }, (_, a) => Array.from({ length: n - a - 1 }, (__, b) => [a, a + b + 1] as const)).flat()

const differenceTable = (set: ResultSet): Html =>
  html`<h3>Paired differences</h3>
    <div class="scroll">
      <table>
        ${heads(set, "difference")}
        <tbody>
          ${pairsOf(set.variants.length).map(
            ([a, b]) =>
              html`<tr>
                <th scope="row">${set.variants[b]} − ${set.variants[a]}</th>
                ${set.values.map((column) => difference(pairedDifference(column[a]!, column[b]!)))}
              </tr>`
          )}
        </tbody>
      </table>
    </div>
    <p class="caption">
      Differences between variants of the same seed; mean and 95% interval (Student t, n − 1 degrees of freedom). “Not
      resolved”: the interval contains 0.
    </p>`

const plainTable = (set: ResultSet): Html =>
  html`<div class="scroll">
      <table class="plain">
        <thead>
          <tr>
            <th>node</th>
            <th>metric</th>
            <th class="num">value</th>
          </tr>
        </thead>
        ${spans(set.columns).map(([node, span]) => {
          const own = set.columns.flatMap((column, c) =>
            column.node === node ? [[column, set.values[c]![0]!] as const] : []
          )
          return html`<tbody>
            ${own.map(
              ([column, bySeed], i) =>
                html`<tr>
                  ${i === 0 ? html`<th scope="rowgroup" rowspan="${span}">${node}</th>` : undefined}
                  <td>${words(column.metric)}</td>
                  ${cell(bySeed)}
                </tr>`
            )}
          </tbody>`
        })}
      </table>
    </div>
    ${
      set.seeds.length > 1
        ? html`<p class="caption">Mean ± standard deviation over ${set.seeds.length} seeds.</p>`
        : undefined
    }`

const oneSet = (set: ResultSet): Html =>
  set.variants.length === 1 && set.variants[0] === ""
    ? plainTable(set)
    : html`${variantTable(set)}${seedDots(set)}${set.variants.length > 1 && set.seeds.length > 1 ? differenceTable(set) : undefined}`

/** One row per node and variant, one column per metric that any of them has: for many nodes that measure the same. */
export const pivotTable = (measured: ReadonlyArray<Measured>): Html | undefined => {
  if (measured.length === 0) return undefined
  const metrics = distinct(measured.map((m) => m.metric)).toSorted(byName.compare)
  const rows = Map.groupBy(measured, (m) => (m.variant === "" ? m.node : `${m.node} ${m.variant}`))
  const several = distinct(measured.map((m) => m.seed)).length
  return html`<div class="scroll">
      <table>
        <thead>
          <tr>
            <th>node</th>
            ${metrics.map((metric) => html`<th class="num">${words(metric)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${[...rows].map(
            ([name, own]) =>
              html`<tr>
                <th scope="row">${name}</th>
                ${metrics.map((metric) =>
                  cell(new Map(own.filter((m) => m.metric === metric).map((m) => [m.seed, m.value])))
                )}
              </tr>`
          )}
        </tbody>
      </table>
    </div>
    ${several > 1 ? html`<p class="caption">Mean ± standard deviation over seeds.</p>` : undefined}`
}

/** Matrix tables first. */
export const resultsSection = (measured: ReadonlyArray<Measured>): Html | undefined =>
  measured.length === 0
    ? undefined
    : html`${resultSets(measured)
        .toSorted((a, b) => b.variants.length - a.variants.length)
        .map(oneSet)}`
