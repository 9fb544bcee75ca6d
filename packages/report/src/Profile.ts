/**
 * Where a run's time went: spans added up by node and by edge, kernels by family, and the spans as a trace that Chrome's viewer, Perfetto and
 * speedscope open.
 *
 * A node prepares its next rows while the engine computes, so `prepare`, `compute` and `write` may add up to more than its seconds.
 */
import type { Span, Stage } from "@bootlace/graph"

export interface NodeTimes {
  readonly node: string
  /** By stage; `node` is all of its work. */
  readonly seconds: Readonly<Record<Stage, number>>
}

export interface EdgeWait {
  /** `from -> to` */
  readonly edge: string
  readonly seconds: number
  readonly times: number
}

/** As the engine adds them up: by ONNX's operations, over the first runs of a program. */
export interface KernelSums {
  readonly program: string
  readonly runs: number
  readonly microseconds: number
  readonly kernels: Readonly<Record<string, { readonly calls: number; readonly microseconds: number }>>
}

export interface FamilyTime {
  readonly family: string
  readonly calls: number
  readonly microseconds: number
}

/** A trace of more spans than this opens in no viewer; the sums go on. */
const mostSpans = 100_000

const seconds = ({ start, end }: Span): number => Number(end - start) / 1e9

/** Takes spans as they are told. */
export class SpanSums {
  readonly #kept: Array<Span> = []
  readonly #nodes = new Map<string, Record<Stage, number>>()
  readonly #edges = new Map<string, { seconds: number; times: number }>()

  readonly tell = (span: Span): void => {
    if (this.#kept.length < mostSpans) this.#kept.push(span)
    const node = this.#nodes.get(span.node) ?? { node: 0, prepare: 0, compute: 0, write: 0, wait: 0 }
    this.#nodes.set(span.node, node)
    node[span.stage] += seconds(span)
    if (span.stage !== "wait") return
    const edge = this.#edges.get(span.what) ?? { seconds: 0, times: 0 }
    this.#edges.set(span.what, { seconds: edge.seconds + seconds(span), times: edge.times + 1 })
  }

  /** The first ones. */
  get spans(): ReadonlyArray<Span> {
    return this.#kept
  }

  /** The slowest first. */
  get nodes(): ReadonlyArray<NodeTimes> {
    const all = [...this.#nodes].map(([node, own]) => ({ node, seconds: own }))
    return all.sort((a, b) => b.seconds.node - a.seconds.node)
  }

  /** The longest first. */
  get edges(): ReadonlyArray<EdgeWait> {
    return [...this.#edges].map(([edge, sum]) => ({ edge, ...sum })).sort((a, b) => b.seconds - a.seconds)
  }
}

/** The families of ONNX's operations and of ONNX Runtime's fused ones. */
const families: ReadonlyArray<readonly [family: string, operations: RegExp]> = [
  ["matrix products", /(MatMul|Gemm|Einsum|Conv)/],
  ["attention", /Attention/],
  ["normalisation", /(Normalization|LayerNorm)/],
  ["softmax", /Softmax/],
  ["activations", /(Gelu|Relu|Erf|Sigmoid|Tanh|Elu|Softplus|Swish|Silu)/i],
  ["reductions", /^(Reduce|ArgM|CumSum|TopK)/],
  ["gather and scatter", /(Gather|Scatter|OneHot)/],
  [
    "moving data",
    /^(Transpose|Reshape|Concat|Slice|Split|Expand|Cast|Identity|Squeeze|Unsqueeze|Tile|Pad|Shape|Reorder|Constant)/
  ],
  ["elementwise", /./]
]

const familyOf = (operation: string): string => families.find(([, operations]) => operations.test(operation))![0]

/** Of one program, the longest first. */
export function familyTimes({ kernels }: KernelSums): ReadonlyArray<FamilyTime> {
  const sums = new Map<string, { calls: number; microseconds: number }>()
  for (const [operation, { calls, microseconds }] of Object.entries(kernels)) {
    const family = familyOf(operation)
    const known = sums.get(family) ?? { calls: 0, microseconds: 0 }
    sums.set(family, { calls: known.calls + calls, microseconds: known.microseconds + microseconds })
  }
  return [...sums].map(([family, sum]) => ({ family, ...sum })).sort((a, b) => b.microseconds - a.microseconds)
}

/** A line of the viewer: spans of one node and stage that don't overlap. */
interface Lane {
  readonly tid: number
  end: bigint
}

const laneName = ({ node, stage }: Span): string => (stage === "node" ? node : `${node} ${stage}`)

/** The Trace Event Format: complete events in microseconds, and the lanes' names. Spans that overlap stand on lanes of their own. */
export function chromeTrace(title: string, spans: ReadonlyArray<Span>, kernels: ReadonlyArray<KernelSums>) {
  const ordered = spans.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
  const zero = ordered[0]?.start ?? 0n
  const lanes = new Map<string, Array<Lane>>()
  let threads = 0
  const names = [{ ph: "M", pid: 1, tid: 0, name: "process_name", args: { name: title } }]
  const laneOf = (span: Span): Lane => {
    const name = laneName(span)
    const own = lanes.get(name) ?? []
    lanes.set(name, own)
    const free = own.find(({ end }) => end <= span.start)
    if (free !== undefined) return free
    const lane = { tid: ++threads, end: 0n }
    own.push(lane)
    names.push({ ph: "M", pid: 1, tid: lane.tid, name: "thread_name", args: { name } })
    return lane
  }
  const events = ordered.map((span) => {
    const lane = laneOf(span)
    lane.end = span.end
    const [ts, dur] = [Number(span.start - zero) / 1000, Number(span.end - span.start) / 1000]
    return { ph: "X", pid: 1, tid: lane.tid, name: span.what, cat: span.stage, ts, dur, args: { node: span.node } }
  })
  return { displayTimeUnit: "ms", traceEvents: [...names, ...events], otherData: { kernels } }
}
