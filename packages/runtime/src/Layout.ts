/**
 * Layout: who reads which rows, what of them has to be stored, and in which order the work can be done. Pure: it looks at
 * the plan only, opens nothing and knows no keys.
 *
 * A stage is either one fold, one train, or a chain: the maps, routes and expands that can run in one pass over the shards of
 * one row set. A node's depth is the number of stages that must be finished before its own can start; nodes of one row set
 * and one depth share a chain. A source's rows are stored only if somebody outside its single pass reads them.
 */
import type { ColumnType, Plan, PlanNode, RowSet, Wire } from "@bootlace/graph"
import { NodeError } from "@bootlace/graph"

/** Column types over 16 KiB a row: handed on inside a chain, stored only where the node says `persist`. */
const streamedTypes: ReadonlySet<ColumnType> = new Set(["image_tokens"])

export interface RowSetLayout {
  readonly id: RowSet
  /** The source, route, expand or union whose port it is. */
  readonly owner: PlanNode
  readonly port: string
  /** The row sets that a union concatenates; empty otherwise. */
  readonly members: ReadonlyArray<RowSet>
  /** Columns that the owner's tasks commit, sorted; a union stores nothing of its own. */
  readonly stored: ReadonlyArray<string>
}

/** Where a column comes from: a map of the row set, or the row set itself. */
export interface ColumnOrigin {
  readonly rowSet: RowSet
  readonly map: PlanNode | undefined
  readonly column: string
}

export interface Chain {
  readonly _tag: "Chain"
  readonly rowSet: RowSet
  /** In the order of the plan; a source comes first. Their tasks are committed. */
  readonly nodes: ReadonlyArray<PlanNode>
  /** Maps of an earlier chain that run again because their columns are never stored; nothing of theirs is committed. */
  readonly again: ReadonlyArray<PlanNode>
}
export type Stage =
  | Chain
  | { readonly _tag: "Fold"; readonly node: PlanNode }
  | { readonly _tag: "Train"; readonly node: PlanNode }

export interface Layout {
  readonly plan: Plan
  readonly node: (id: string) => PlanNode
  readonly rowSet: (id: RowSet) => RowSetLayout
  readonly rowSets: ReadonlyArray<RowSetLayout>
  readonly stages: ReadonlyArray<Stage>
  readonly origin: (wire: Wire) => ColumnOrigin
  /** Columns of a Train node's stream input that its graph reads; all of them where the graph names none. */
  readonly streamColumns: (node: PlanNode, input: string, wire: Wire) => ReadonlyArray<string>
}

export const rowSetOf = (node: string, port: string): RowSet => `${node}.${port}`

/** Columns of a map that its tasks commit. */
export const storedColumns = (node: PlanNode): ReadonlyArray<string> =>
  Object.keys(node.columns).filter((column) => node.persist || !streamedTypes.has(node.columns[column]!))

/**
 * Columns of a map that are stored or that another node reads. Of nodes that would make the same one does it for all, so what is read of any
 * node of this operator counts.
 */
export const wantedColumns = (
  { plan, origin }: Pick<Layout, "plan" | "origin">,
  node: PlanNode
): ReadonlyArray<string> => {
  const wires = plan.nodes.flatMap(wiresOf).filter((wire) => wire._tag === "Column")
  const read = wires.map(origin).filter(({ map }) => map?.operator.name === node.operator.name)
  const wanted = new Set([...storedColumns(node), ...read.map(({ column }) => column)])
  return Object.keys(node.columns).filter((column) => wanted.has(column))
}

export const wiresOf = (node: PlanNode): ReadonlyArray<Wire> => Object.values(node.inputs).flat()

const rowKinds: ReadonlySet<string> = new Set(["map", "route", "expand"])
const inChain = (node: PlanNode): boolean => rowKinds.has(node.operator.kind)

const graphOf = (plan: Plan) => {
  const nodes = new Map(plan.nodes.map((node) => [node.id, node]))
  const node = (id: string): PlanNode => {
    const found = nodes.get(id)
    if (found === undefined) throw new Error(`the plan has no node ${id}`)
    return found
  }
  const origin = (wire: Wire): ColumnOrigin => {
    if (wire._tag !== "Column") throw new Error(`a wire from ${wire.node} carries no column`)
    const from = node(wire.node)
    if (from.operator.kind === "map") return { rowSet: from.rowSet!, map: from, column: wire.column }
    const port = wire.port ?? Object.keys(from.ports)[0]!
    return { rowSet: rowSetOf(from.id, port), map: undefined, column: wire.column }
  }
  const streamColumns = (train: PlanNode, input: string, wire: Wire): ReadonlyArray<string> => {
    const all = wire._tag === "Stream" ? Object.keys(wire.columns) : []
    if (train.operator.kind !== "train") return all
    const inner = (train.training?.nodes ?? []).flatMap(wiresOf)
    const read = new Set(inner.flatMap((used) => (used._tag === "Column" && used.node === input ? [used.column] : [])))
    return read.size === 0 ? all : all.filter((column) => read.has(column))
  }
  return { node, origin, streamColumns }
}
type Graph = ReturnType<typeof graphOf>

/** How many stages must be over before a node's own can start. */
const depthsOf = (plan: Plan, graph: Graph) => {
  const known = new Map<string, number>()
  /** The first depth at which another stage can read the rows that a port starts. */
  const readable = (rowSet: RowSet): number => {
    const owner = ownerOf(plan, rowSet)
    if (owner.operator.kind === "source") return 1
    if (owner.operator.kind === "union") return Math.max(0, ...membersOf(owner).map(readable))
    return depth(owner) + 1
  }
  const start = (rowSet: RowSet): number => {
    const owner = ownerOf(plan, rowSet)
    return owner.operator.kind === "source" && Object.keys(owner.ports).length === 1 ? 0 : readable(rowSet)
  }
  const wireDepth = (of: PlanNode, wire: Wire): number => {
    if (wire._tag === "Artifact") return depth(graph.node(wire.node)) + 1
    if (wire._tag === "Stream") return readable(rowSetOf(wire.node, wire.port))
    const { map, rowSet } = graph.origin(wire)
    if (inChain(of)) return map === undefined ? start(rowSet) : depth(map)
    return map === undefined ? readable(rowSet) : Math.max(readable(rowSet), depth(map) + 1)
  }
  const depth = (node: PlanNode): number => {
    const found = known.get(node.id)
    if (found !== undefined) return found
    const at = Math.max(0, ...wiresOf(node).map((wire) => wireDepth(node, wire)))
    known.set(node.id, at)
    return at
  }
  return depth
}

const ownerOf = (plan: Plan, rowSet: RowSet): PlanNode => {
  const owner = plan.nodes.find((node) => Object.keys(node.ports).some((port) => rowSetOf(node.id, port) === rowSet))
  if (owner === undefined) throw new Error(`the plan has no row set ${rowSet}`)
  return owner
}

const membersOf = (union: PlanNode): ReadonlyArray<RowSet> =>
  wiresOf(union).flatMap((wire) => (wire._tag === "Stream" ? [rowSetOf(wire.node, wire.port)] : []))

/** Maps whose streamed columns these nodes read although another chain made them, and the maps that those need in turn. */
const runAgain = (graph: Graph, nodes: ReadonlyArray<PlanNode>): ReadonlyArray<PlanNode> => {
  const again = new Set<PlanNode>()
  const visit = (node: PlanNode): void => {
    for (const wire of wiresOf(node)) {
      if (wire._tag !== "Column") continue
      const { map, column } = graph.origin(wire)
      if (map === undefined || nodes.includes(map) || again.has(map) || storedColumns(map).includes(column)) continue
      visit(map)
      again.add(map)
    }
  }
  nodes.forEach(visit)
  return [...again]
}

/** A reading of a row set's own column. */
interface Use {
  readonly rowSet: RowSet
  readonly column: string
  /** Of the pass over that row set in which it is read; undefined for a fold, a train or a union. */
  readonly depth: number | undefined
}

/** All columns of row sets that are read, by whom. */
const usesOf = (
  plan: Plan,
  graph: Graph,
  chains: ReadonlyArray<Chain & { readonly depth: number }>
): ReadonlyArray<Use> => {
  const uses: Array<Use> = []
  const use = (rowSet: RowSet, column: string, depth: number | undefined): void => {
    const owner = ownerOf(plan, rowSet)
    if (owner.operator.kind !== "union") uses.push({ rowSet, column, depth })
    else for (const member of membersOf(owner)) use(member, column, undefined)
  }
  const useWire = (node: PlanNode, input: string, wire: Wire, depth: number | undefined): void => {
    if (wire._tag === "Column") {
      const { map, rowSet, column } = graph.origin(wire)
      if (map === undefined) use(rowSet, column, depth)
      else if (depth === undefined && !storedColumns(map).includes(column)) throw notStored(node, map, column)
    } else if (wire._tag === "Stream") {
      for (const column of graph.streamColumns(node, input, wire)) use(rowSetOf(wire.node, wire.port), column, depth)
    }
  }
  const useNode = (node: PlanNode, depth: number | undefined): void => {
    for (const [input, wires] of Object.entries(node.inputs)) {
      for (const wire of wires) useWire(node, input, wire, depth)
    }
  }
  for (const chain of chains) for (const map of chain.again) useNode(map, chain.depth)
  for (const node of plan.nodes) {
    const chain = chains.find(({ nodes }) => nodes.includes(node))
    if (node.operator.kind !== "union") useNode(node, chain?.depth)
  }
  return uses
}

const notStored = (node: PlanNode, map: PlanNode, column: string): NodeError =>
  new NodeError({
    code: "R421",
    node: node.id,
    detail: `${map.id}.${column} is streamed, not stored: only nodes of the same pass can read it`,
    hint: `say persist: true at ${map.id} to store it`
  })

/**
 * The depth of the pass in which a source's own task runs. Its rows stream into the nodes of that pass; they have to be stored
 * at once where a fold, a train or a union reads them.
 */
const sourceDepth = (source: PlanNode, port: string, uses: ReadonlyArray<Use>): number => {
  const depths = uses.flatMap((use) => (use.rowSet === rowSetOf(source.id, port) ? [use.depth] : []))
  const known = depths.filter((depth) => depth !== undefined)
  return Object.keys(source.ports).length > 1 || known.length < depths.length || known.length === 0
    ? 0
    : Math.min(...known)
}

/** The columns of a port that its owner's tasks commit: those that nodes outside the owner's own pass read. */
const storedOf = (owner: PlanNode, port: string, uses: ReadonlyArray<Use>): ReadonlyArray<string> => {
  const columns = Object.keys(owner.ports[port]!).toSorted()
  if (owner.operator.kind === "union") return []
  if (owner.persist) return columns
  const streams = owner.operator.kind === "source" && port === Object.keys(owner.ports)[0]
  const own = streams ? sourceDepth(owner, port, uses) : -1
  const rowSet = rowSetOf(owner.id, port)
  const stored = new Set(uses.flatMap((use) => (use.rowSet === rowSet && use.depth !== own ? [use.column] : [])))
  return columns.filter((column) => stored.has(column))
}

type Placed<S extends Stage> = S & { readonly depth: number }

/** Chains without the sources: one per row set and depth. */
const chainsOf = (plan: Plan, graph: Graph, depth: (node: PlanNode) => number): ReadonlyArray<Placed<Chain>> => {
  const groups = Map.groupBy(plan.nodes.filter(inChain), (node) => `${depth(node)} ${node.rowSet}`)
  return [...groups.values()].map((nodes) => ({
    _tag: "Chain",
    rowSet: nodes[0]!.rowSet!,
    nodes,
    again: runAgain(graph, nodes),
    depth: depth(nodes[0]!)
  }))
}

const withSources = (
  plan: Plan,
  chains: ReadonlyArray<Placed<Chain>>,
  uses: ReadonlyArray<Use>
): ReadonlyArray<Placed<Chain>> => {
  const placed = [...chains]
  for (const source of plan.nodes) {
    if (source.operator.kind !== "source") continue
    const port = Object.keys(source.ports)[0]!
    const rowSet = rowSetOf(source.id, port)
    const depth = sourceDepth(source, port, uses)
    const at = placed.findIndex((chain) => chain.rowSet === rowSet && chain.depth === depth)
    if (at < 0) placed.push({ _tag: "Chain", rowSet, nodes: [source], again: [], depth })
    else placed[at] = { ...placed[at]!, nodes: [source, ...placed[at]!.nodes] }
  }
  return placed
}

/** Throws a NodeError where a fold wants a column that is never stored. */
export const layoutOf = (plan: Plan): Layout => {
  const graph = graphOf(plan)
  const depth = depthsOf(plan, graph)
  const chains = chainsOf(plan, graph, depth)
  const uses = usesOf(plan, graph, chains)
  const rowSets = plan.nodes.flatMap((owner) =>
    Object.keys(owner.ports).map((port): RowSetLayout => ({
      id: rowSetOf(owner.id, port),
      owner,
      port,
      members: owner.operator.kind === "union" ? membersOf(owner) : [],
      stored: storedOf(owner, port, uses)
    }))
  )
  const singles = plan.nodes.flatMap((node): ReadonlyArray<Placed<Stage>> => {
    if (node.operator.kind === "fold") return [{ _tag: "Fold", node, depth: depth(node) }]
    return node.operator.kind === "train" ? [{ _tag: "Train", node, depth: depth(node) }] : []
  })
  const order = new Map(plan.nodes.map((node, index) => [node.id, index]))
  const place = (stage: Stage): number => order.get(stage._tag === "Chain" ? stage.nodes[0]!.id : stage.node.id)!
  const stages = [...withSources(plan, chains, uses), ...singles].toSorted(
    (a, b) => a.depth - b.depth || place(a) - place(b)
  )
  const byId = new Map(rowSets.map((rowSet) => [rowSet.id, rowSet]))
  return { plan, ...graph, rowSets, rowSet: (id) => byId.get(id)!, stages }
}
