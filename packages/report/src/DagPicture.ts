/**
 * The pipeline drawn: one box per node, marked by its kind and by what happened to it in this run; rows on the edges.
 *
 * The variants of a matrix share one box, which says how many they are: an ablation over five seeds stays readable.
 */
import type { DrawnNode, NodeRecord } from "@bootlace/graph"
import { layout } from "./DagLayout.ts"
import type { Placed, Route } from "./DagLayout.ts"
import { clip, html } from "./Html.ts"
import type { Html } from "./Html.ts"
import { count, duration } from "./Numbers.ts"
import { baseName } from "./Variants.ts"

interface Box {
  readonly id: string
  readonly op: string
  readonly kind: string
  readonly variants: number
  readonly state: "run" | "cached" | "waiting"
  /** Its time, or `cached`. */
  readonly note: string
  readonly rejected: number
}
interface Line {
  readonly from: string
  readonly to: string
  readonly port: string
  readonly artifact: boolean
  /** How many rows leave this port. */
  readonly label: string
}

type Records = Readonly<Record<string, NodeRecord>>

const gatherBoxes = (graph: ReadonlyArray<DrawnNode>, records: Records): ReadonlyArray<Box> =>
  [...Map.groupBy(graph, (node) => baseName(node.id))].map(([id, variants]) => {
    const seen = variants.flatMap((node) => records[node.id] ?? [])
    const state = seen.length < variants.length ? "waiting" : seen.every((record) => record.cached) ? "cached" : "run"
    const seconds = seen.reduce((sum, record) => sum + record.seconds, 0)
    return {
      id,
      op: variants[0]!.op,
      kind: variants[0]!.kind,
      variants: variants.length,
      state,
      note: state === "cached" ? "cached" : seconds > 0 ? duration(seconds) : "",
      rejected: seen.reduce((sum, record) => sum + record.rejected, 0)
    }
  })

const rowsOut = (record: NodeRecord | undefined, port: string): number | undefined =>
  record === undefined ? undefined : (record.ports[port] ?? record.rows_out)

const gatherLines = (graph: ReadonlyArray<DrawnNode>, records: Records): ReadonlyArray<Line> => {
  const kinds = new Map(graph.map((node) => [node.id, node.kind]))
  const ends = graph.flatMap((node) =>
    node.inputs
      .filter((input) => kinds.has(input.from))
      .map((input) => {
        // A wire of one column may name no port: its node has only one.
        const port = Object.hasOwn(records[input.from]?.ports ?? {}, input.port) ? input.port : ""
        return { from: input.from, port, to: node.id, key: `${baseName(input.from)} ${port} ${baseName(node.id)}` }
      })
  )
  return [...Map.groupBy(ends, (end) => end.key)].map(([, parallel]) => {
    const first = parallel[0]!
    const kind = kinds.get(first.from)
    const artifact = kind === "fold" || kind === "train"
    const counts = new Set(parallel.map((end) => rowsOut(records[end.from], end.port)))
    const rows = counts.size === 1 ? [...counts][0] : undefined
    const several = Object.keys(records[first.from]?.ports ?? {}).length > 1
    const port = several && first.port !== "" ? `${first.port} ` : ""
    return {
      from: baseName(first.from),
      to: baseName(first.to),
      port: first.port,
      artifact,
      label: artifact || rows === undefined ? "" : `${port}${count(rows)}`
    }
  })
}

const boxWidth = (box: Box): number => {
  const longest = Math.max(
    box.id.length * 7.1 + (box.variants > 1 ? 34 : 0),
    box.op.length * 6.3 + box.note.length * 6.2 + 26
  )
  return Math.min(260, Math.max(104, Math.round(longest) + 30))
}
const boxHeight = 46

const stateMark = { run: "\u25cf", cached: "\u25cb", waiting: "\u00b7" } as const

const drawBox = (box: Box, at: Placed): Html => {
  const left = at.x - at.width / 2
  const top = at.y - at.height / 2
  const title = `${box.id}: ${box.op} (${box.kind}), ${box.state === "waiting" ? "not run" : box.state}${
    box.rejected > 0 ? `, ${count(box.rejected)} rejected` : ""
  }`
  return html`<g class="node ${box.kind} ${box.state}">
    <title>${title}</title>
    <rect class="box" x="${left.toFixed(1)}" y="${top.toFixed(1)}" width="${at.width}" height="${at.height}" rx="5" />
    <rect class="stripe" x="${left.toFixed(1)}" y="${top.toFixed(1)}" width="5" height="${at.height}" rx="2" />
    <text class="id" x="${(left + 14).toFixed(1)}" y="${(top + 19).toFixed(1)}">${clip(box.id, 28)}</text>
    <text class="op" x="${(left + 14).toFixed(1)}" y="${(top + 36).toFixed(1)}">${box.op}</text>
    ${
      box.variants > 1
        ? html`<text class="badge" x="${(left + at.width - 9).toFixed(1)}" y="${(top + 19).toFixed(1)}"
            >×${box.variants}</text
          >`
        : undefined
    }
    <text class="note" x="${(left + at.width - 9).toFixed(1)}" y="${(top + 36).toFixed(1)}"
      >${box.note} ${stateMark[box.state]}</text
    >
  </g>`
}

const path = (points: Route["points"]): string => {
  const [first, ...rest] = points
  let [x, y] = first!
  return [
    `M${x.toFixed(1)} ${y.toFixed(1)}`,
    ...rest.map(([toX, toY]) => {
      const middle = (y + toY) / 2
      const piece = `C${x.toFixed(1)} ${middle.toFixed(1)} ${toX.toFixed(1)} ${middle.toFixed(1)} ${toX.toFixed(1)} ${toY.toFixed(1)}`
      x = toX
      y = toY
      return piece
    })
  ].join("")
}

const drawLine = (line: Line, route: Route): Html =>
  html`<path class="edge${line.artifact ? " artifact" : ""}" d="${path(route.points)}" marker-end="url(#arrow)" />`

/** The number of rows stands once where they leave their port. */
const drawRows = (lines: ReadonlyArray<Line>, routes: ReadonlyArray<Route>): ReadonlyArray<Html> =>
  [...Map.groupBy(lines.keys(), (i) => `${lines[i]!.from} ${lines[i]!.port}`).values()].flatMap(([first]) => {
    const [x, y] = routes[first!]!.points[0]!
    const { label } = lines[first!]!
    return label === "" ? [] : [html`<text class="rows" x="${x.toFixed(1)}" y="${(y + 13).toFixed(1)}">${label}</text>`]
  })

const kindWords: ReadonlyArray<readonly [string, string]> = [
  ["source", "source: reads rows"],
  ["map", "map: adds columns"],
  ["route", "route: splits rows"],
  ["expand", "expand: makes rows"],
  ["union", "union: joins rows"],
  ["fold", "fold: sums up"],
  ["train", "train: fits a model"]
]

const legend = (boxes: ReadonlyArray<Box>): Html =>
  html`<ul class="legend">
    ${kindWords
      .filter(([kind]) => boxes.some((box) => box.kind === kind))
      .map(([kind, words]) => html`<li><i class="swatch ${kind}"></i>${words}</li>`)}
    <li><i class="mark">●</i>computed in this run</li>
    <li><i class="mark">○</i>cached</li>
    ${boxes.some((box) => box.state === "waiting") ? html`<li><i class="mark">·</i>not run</li>` : undefined}
    <li><i class="dash"></i>artifact</li>
    <li><i class="dash solid"></i>rows, with their number</li>
  </ul>`

/** The picture and its legend. */
export const dagPicture = (graph: ReadonlyArray<DrawnNode>, records: Records): Html => {
  const boxes = gatherBoxes(graph, records)
  const lines = gatherLines(graph, records).filter((line) => line.from !== line.to)
  const placed = layout(
    boxes.map((box) => ({ id: box.id, width: boxWidth(box), height: boxHeight })),
    lines
  )
  const at = new Map(placed.nodes.map((node) => [node.id, node]))
  const width = Math.ceil(placed.width + 4)
  const height = Math.ceil(placed.height + 4)
  return html`<figure class="dag">
    <div class="scroll">
      <svg
        viewBox="-2 -2 ${width} ${height}"
        width="${width}"
        height="${height}"
        role="img"
        aria-label="The pipeline as a graph of ${boxes.length} nodes"
      >
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0.8L7.2 4L0 7.2z" />
          </marker>
        </defs>
        ${lines.map((line, i) => drawLine(line, placed.edges[i]!))} ${boxes.map((box) => drawBox(box, at.get(box.id)!))}
        ${drawRows(lines, placed.edges)}
      </svg>
    </div>
    ${legend(boxes)}
  </figure>`
}
