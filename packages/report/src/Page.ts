/**
 * The report of a run: one HTML file that needs nothing else. No script, no network; pictures are inside it.
 *
 * A pure function of what was read from the record and the store, so the same run gives the same page.
 */
import type { NodeRecord, RunRecord } from "@bootlace/graph"
import { curvesSection } from "./Curves.ts"
import type { History } from "./Curves.ts"
import { dagPicture } from "./DagPicture.ts"
import { filterSection } from "./FilterQuality.ts"
import type { FilterRows } from "./FilterQuality.ts"
import { galleryBlock } from "./Gallery.ts"
import type { Gallery } from "./Gallery.ts"
import type { Rejection } from "./Gather.ts"
import { Html, clip, html } from "./Html.ts"
import { count, duration } from "./Numbers.ts"
import { pivotTable, resultsSection } from "./Results.ts"
import { style } from "./Style.ts"
import { measurements, placeOf } from "./Variants.ts"

export interface Page {
  readonly record: RunRecord
  /** What repeats the run, as typed. */
  readonly command?: string
  readonly histories: ReadonlyArray<History>
  readonly filters: ReadonlyArray<FilterRows>
  readonly galleries: ReadonlyArray<Gallery>
  /** Why rows couldn't be used. */
  readonly rejections?: ReadonlyArray<Rejection>
  /** Names and values: versions, platform, threads. */
  readonly environment: ReadonlyArray<readonly [string, string]>
  /** Whom the data's licences ask to credit. */
  readonly attribution?: string
  /** What the page lacks, and why. */
  readonly notes?: ReadonlyArray<string>
}

const statusWords = { done: "done", failed: "failed", running: "unfinished" } as const

const fact = (name: string, value: string | Html, wide = false): Html =>
  html`<div${wide ? html` class="wide"` : undefined}><dt>${name}</dt><dd>${value}</dd></div>`

const header = (page: Page): Html => {
  const { record } = page
  const nodes = Object.values(record.nodes)
  return html`<header>
    <h1>${record.pipeline}<span class="status ${record.status}">${statusWords[record.status]}</span></h1>
    <p class="sub">run <span class="mono">${record.run}</span></p>
    ${record.error === undefined ? undefined : html`<div class="error mono">${record.error}</div>`}
    <dl class="head">
      ${fact("time", duration(record.seconds))}${fact("started", `${record.started.slice(0, 16).replace("T", " ")} UTC`)}${fact(
        "engine",
        record.engine
      )}${fact("seed", String(record.seed))}${fact(
        "nodes",
        `${nodes.length} (${nodes.filter((node) => node.cached).length} cached)`
      )}${fact("plan", html`<span class="mono" title="${record.plan}">${record.plan.slice(0, 12)}</span>`)}${
        page.command === undefined ? undefined : fact("again", html`<code>${page.command}</code>`, true)
      }
    </dl>
  </header>`
}

const nodeRow = ([id, node]: readonly [string, NodeRecord]): Html =>
  html`<tr>
    <th scope="row">${id}</th>
    <td>${node.op}</td>
    <td class="num">${count(node.rows_in)}</td>
    <td class="num">${count(node.rows_out)}</td>
    <td class="num${node.rejected === 0 ? " none" : ""}">${count(node.rejected)}</td>
    <td class="num">${node.cached ? html`<span class="spread">cached</span>` : duration(node.seconds)}</td>
    <td class="num mono" title="${node.artifact}">${node.artifact.slice(0, 8)}</td>
  </tr>`

const shownAtOnce = 40

/** A matrix makes many nodes: a long table waits to be opened. */
const nodeTable = (record: RunRecord): Html => {
  const total = Object.keys(record.nodes).length
  return total <= shownAtOnce
    ? everyNode(record)
    : html`<details>
        <summary>All ${total} nodes</summary>
        ${everyNode(record)}
      </details>`
}

const everyNode = (record: RunRecord): Html =>
  html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th>node</th>
          <th>operator</th>
          <th class="num">rows in</th>
          <th class="num">rows out</th>
          <th class="num">rejected</th>
          <th class="num">time</th>
          <th class="num">artifact</th>
        </tr>
      </thead>
      <tbody>
        ${Object.entries(record.nodes).map(nodeRow)}
      </tbody>
    </table>
  </div>`

const rejectionTable = (rejections: ReadonlyArray<Rejection>): Html | undefined =>
  rejections.length === 0
    ? undefined
    : html`<h3>Rows that could not be used</h3>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>node</th>
                <th>code</th>
                <th>reason</th>
                <th class="num">rows</th>
              </tr>
            </thead>
            <tbody>
              ${rejections.map(
                (each) =>
                  html`<tr>
                    <th scope="row">${each.node}</th>
                    <td class="mono">${each.code}</td>
                    <td>${clip(each.reason, 300)}</td>
                    <td class="num">${count(each.rows)}</td>
                  </tr>`
              )}
            </tbody>
          </table>
        </div>`

const environmentTable = (page: Page): Html =>
  html`<table class="facts">
      <tbody>
        ${[["engine", page.record.engine] as const, ["plan", page.record.plan] as const, ...page.environment].map(
          ([name, value]) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td class="mono">${value}</td>
            </tr>`
        )}
      </tbody>
    </table>
    ${
      page.attribution === undefined
        ? undefined
        : html`<h3 id="credit">Credit</h3>
            <p class="credit">${page.attribution}</p>`
    }`

/** Trainings side by side, then what else describes itself by numbers: models, vocabularies, thresholds. */
const made = (page: Page): Html | undefined => {
  const figures = measurements(page.record).filter((m) => !m.evaluation)
  const trained = pivotTable(figures.filter((m) => m.op === "Train"))
  const others = resultsSection(figures.filter((m) => m.op !== "Train"))
  return trained === undefined && others === undefined ? undefined : html`${trained}${others}`
}

const training = (page: Page): Html | undefined => {
  const curves = curvesSection(page.histories)
  const figures = made(page)
  return curves === undefined && figures === undefined
    ? undefined
    : html`${curves}${
        figures === undefined
          ? undefined
          : html`<h3>What was made</h3>
              ${figures}`
      }`
}

/** Seeds repeat an experiment; rows and images of one are enough to look at. */
const seedNote = (page: Page): Html | undefined => {
  const seeds = new Set(page.record.graph.map((node) => placeOf(node.axes).seed).filter((seed) => seed !== ""))
  return seeds.size < 2
    ? undefined
    : html`<p class="caption">Of ${seeds.size} seeds the first is shown: ${[...seeds][0]}.</p>`
}

const sectionsOf = (page: Page): ReadonlyArray<readonly [string, string, Html]> => {
  const filters = filterSection(page.filters)
  const galleries = page.galleries.flatMap((gallery) => galleryBlock(gallery) ?? [])
  const all: ReadonlyArray<readonly [string, string, Html | undefined]> = [
    ["results", "Results", resultsSection(measurements(page.record).filter((m) => m.evaluation))],
    [
      "graph",
      "Pipeline",
      page.record.graph.length === 0 ? undefined : dagPicture(page.record.graph, page.record.nodes)
    ],
    ["training", "Training", training(page)],
    ["filters", "Filters", filters === undefined ? undefined : html`${seedNote(page)}${filters}`],
    ["gallery", "Examples", galleries.length === 0 ? undefined : html`${seedNote(page)}${galleries}`],
    ["nodes", "Nodes", html`${nodeTable(page.record)}${rejectionTable(page.rejections ?? [])}`],
    ["environment", "Environment", environmentTable(page)]
  ]
  return all.flatMap(([id, title, content]) => (content === undefined ? [] : [[id, title, content] as const]))
}

/** The whole file. */
export const renderPage = (page: Page): string => {
  const sections = sectionsOf(page)
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        />
        <title>${page.record.pipeline} – Bootlace run ${page.record.run}</title>
        <style>
          ${new Html(style)}
        </style>
      </head>
      <body>
        <main>
          ${header(page)}
          <nav>${sections.map(([id, title]) => html`<a href="#${id}">${title}</a>`)}</nav>
          ${(page.notes ?? []).map((note) => html`<p class="error">${note}</p>`)}
          ${sections.map(
            ([id, title, content]) =>
              html`<section>
                <h2 id="${id}">${title}</h2>
                ${content}
              </section>`
          )}
          <footer>Made by Bootlace from the run's record and its artifacts. This file needs no network.</footer>
        </main>
      </body>
    </html> `.text
}
