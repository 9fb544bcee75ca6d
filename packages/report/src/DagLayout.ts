/**
 * Where the nodes of a directed acyclic graph go on paper: layers from top to bottom, few crossings, straight-ish edges.
 *
 * The classic four steps (Sugiyama et al. 1981): a layer per node by longest path, bends where an edge passes a layer,
 * orders by barycentre sweeps, then x positions that are nearest to their neighbours' under a minimal distance, which is
 * isotonic regression and solved exactly by pooling adjacent violators.
 */
export interface GraphNode {
  readonly id: string
  readonly width: number
  readonly height: number
}
export interface GraphEdge {
  readonly from: string
  readonly to: string
  /** Edges of one port leave their node at the same place. */
  readonly port: string
}
export interface Placed {
  readonly id: string
  readonly layer: number
  /** Centre. */
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}
export interface Route {
  readonly from: string
  readonly to: string
  /** From the bottom of `from`, through its bends, to the top of `to`. */
  readonly points: ReadonlyArray<readonly [number, number]>
}
export interface Layout {
  readonly width: number
  readonly height: number
  readonly nodes: ReadonlyArray<Placed>
  readonly edges: ReadonlyArray<Route>
}

const gapX = 22
const gapY = 46
const bendWidth = 10

/** A place in a layer: a node, or a bend of an edge. */
interface Slot {
  readonly id: string
  readonly layer: number
  readonly width: number
  readonly above: Array<Slot>
  readonly below: Array<Slot>
  x: number
}

const layersOf = (nodes: ReadonlyArray<GraphNode>, edges: ReadonlyArray<GraphEdge>): Map<string, number> => {
  const layer = new Map<string, number>()
  const into = Map.groupBy(edges, (edge) => edge.to)
  const visit = (id: string): number => {
    const known = layer.get(id)
    if (known !== undefined) return known
    layer.set(id, 0)
    const depth = Math.max(-1, ...(into.get(id) ?? []).map((edge) => visit(edge.from))) + 1
    layer.set(id, depth)
    return depth
  }
  for (const node of nodes) visit(node.id)
  // A node without inputs stands just above its first reader, so that its edge is short.
  const out = Map.groupBy(edges, (edge) => edge.from)
  for (const node of nodes)
    if (!into.has(node.id) && out.has(node.id))
      layer.set(node.id, Math.min(...out.get(node.id)!.map((edge) => layer.get(edge.to)!)) - 1)
  return layer
}

const connect = (above: Slot, below: Slot): void => {
  above.below.push(below)
  below.above.push(above)
}

const makeSlots = (nodes: ReadonlyArray<GraphNode>, edges: ReadonlyArray<GraphEdge>) => {
  const layer = layersOf(nodes, edges)
  const slots = new Map<string, Slot>()
  const layers: Array<Array<Slot>> = []
  const add = (id: string, at: number, width: number): Slot => {
    const slot: Slot = { id, layer: at, width, above: [], below: [], x: 0 }
    const row = (layers[at] ??= [])
    row.push(slot)
    return slot
  }
  for (const node of nodes) slots.set(node.id, add(node.id, layer.get(node.id)!, node.width))
  const chains = edges.map((edge) => {
    const to = slots.get(edge.to)!
    const chain = [slots.get(edge.from)!]
    for (let at = chain[0]!.layer + 1; at < to.layer; at++) {
      const bend = add(`${edge.from} ${edge.to} ${at}`, at, bendWidth)
      connect(chain.at(-1)!, bend)
      chain.push(bend)
    }
    connect(chain.at(-1)!, to)
    return [...chain, to]
  })
  return { layers, chains, slots }
}

const crossings = (layers: ReadonlyArray<ReadonlyArray<Slot>>): number => {
  const place = new Map(layers.flatMap((row) => row.map((slot, i) => [slot, i] as const)))
  let count = 0
  for (const row of layers) {
    const ends = row.flatMap((slot, i) => slot.below.map((to) => [i, place.get(to)!] as const))
    for (let i = 0; i < ends.length; i++)
      for (let j = i + 1; j < ends.length; j++)
        if ((ends[i]![0] - ends[j]![0]) * (ends[i]![1] - ends[j]![1]) < 0) count++
  }
  return count
}

/** Sorts every layer by the mean place of its neighbours, down and up, and keeps the best order seen. */
const orderLayers = (layers: Array<Array<Slot>>): void => {
  let best = layers.map((row) => [...row])
  let fewest = crossings(best)
  for (let sweep = 0; sweep < 12 && fewest > 0; sweep++) {
    const down = sweep % 2 === 0
    for (const row of down ? layers : layers.toReversed()) {
      const place = new Map(layers.flatMap((each) => each.map((slot, i) => [slot, (i + 0.5) / each.length] as const)))
      const centre = (slot: Slot): number => {
        const near = down ? slot.above : slot.below
        return near.length === 0 ? place.get(slot)! : near.reduce((sum, to) => sum + place.get(to)!, 0) / near.length
      }
      row.sort((a, b) => centre(a) - centre(b))
    }
    const now = crossings(layers)
    if (now < fewest) {
      fewest = now
      best = layers.map((row) => [...row])
    }
  }
  layers.splice(0, layers.length, ...best)
}

/** Positions nearest to `wanted` (least squares) in the given order with the given distances between neighbours. */
const spread = (wanted: ReadonlyArray<number>, distances: ReadonlyArray<number>): ReadonlyArray<number> => {
  const offset = [0]
  for (const distance of distances) offset.push(offset.at(-1)! + distance)
  const blocks: Array<{ sum: number; size: number }> = []
  wanted.forEach((x, i) => {
    let block = { sum: x - offset[i]!, size: 1 }
    while (blocks.length > 0 && blocks.at(-1)!.sum / blocks.at(-1)!.size > block.sum / block.size) {
      const previous = blocks.pop()!
      block = { sum: previous.sum + block.sum, size: previous.size + block.size }
    }
    blocks.push(block)
  })
  return blocks
    .flatMap((block) => Array.from({ length: block.size }, () => block.sum / block.size))
    .map((x, i) => x + offset[i]!)
}

const distancesOf = (row: ReadonlyArray<Slot>): ReadonlyArray<number> =>
  row.slice(1).map((slot, i) => (slot.width + row[i]!.width) / 2 + gapX)

const placeLayers = (layers: ReadonlyArray<ReadonlyArray<Slot>>): void => {
  const settle = (row: ReadonlyArray<Slot>, wanted: (slot: Slot) => number): void => {
    const xs = spread(row.map(wanted), distancesOf(row))
    row.forEach((slot, i) => (slot.x = xs[i]!))
  }
  for (const row of layers) settle(row, () => 0)
  const average = (near: ReadonlyArray<Slot>, own: number): number =>
    near.length === 0 ? own : near.reduce((sum, slot) => sum + slot.x, 0) / near.length
  for (let sweep = 0; sweep < 16; sweep++) {
    for (const row of layers.slice(1)) settle(row, (slot) => average(slot.above, slot.x))
    for (const row of layers.toReversed()) settle(row, (slot) => average([...slot.below, ...slot.above], slot.x))
  }
}

const share = (slot: Slot, i: number, n: number): number => slot.x + slot.width * ((i + 1) / (n + 1) - 0.5)

/** Where each edge leaves and enters: spread along the node's side in the order of where it comes from or goes to. */
const docks = (edges: ReadonlyArray<GraphEdge>, chains: ReadonlyArray<ReadonlyArray<Slot>>) => {
  const leave: Array<number> = edges.map(() => 0)
  const enter: Array<number> = edges.map(() => 0)
  const all = edges.map((edge, i) => ({ edge, i, chain: chains[i]! }))
  for (const own of Map.groupBy(all, (each) => each.edge.from).values()) {
    const goal = (group: typeof own) => group.reduce((sum, each) => sum + each.chain[1]!.x, 0) / group.length
    const ports = [...Map.groupBy(own, (each) => each.edge.port).values()].sort((a, b) => goal(a) - goal(b))
    ports.forEach((port, at) => port.forEach((each) => (leave[each.i] = share(each.chain[0]!, at, ports.length))))
  }
  for (const own of Map.groupBy(all, (each) => each.edge.to).values()) {
    own.sort((a, b) => a.chain.at(-2)!.x - b.chain.at(-2)!.x)
    own.forEach((each, at) => (enter[each.i] = share(each.chain.at(-1)!, at, own.length)))
  }
  return { leave, enter }
}

/** Lays out a graph; edges between unknown nodes are an error of the caller. */
export const layout = (nodes: ReadonlyArray<GraphNode>, edges: ReadonlyArray<GraphEdge>): Layout => {
  const { layers, chains, slots } = makeSlots(nodes, edges)
  orderLayers(layers)
  placeLayers(layers)
  const { leave, enter } = docks(edges, chains)
  const all = layers.flat()
  const left = Math.min(0, ...all.map((slot) => slot.x - slot.width / 2))
  const right = Math.max(0, ...all.map((slot) => slot.x + slot.width / 2))
  const height = Math.max(0, ...nodes.map((node) => node.height))
  const pitch = height + gapY
  const top = (layer: number) => layer * pitch
  const placed = nodes.map((node): Placed => {
    const slot = slots.get(node.id)!
    return { ...node, layer: slot.layer, x: slot.x - left, y: top(slot.layer) + height / 2 }
  })
  const edgesRouted = chains.map((chain, i): Route => {
    const points = chain.flatMap((slot, at): ReadonlyArray<readonly [number, number]> => {
      if (at === 0) return [[leave[i]! - left, top(slot.layer) + height]]
      if (at === chain.length - 1) return [[enter[i]! - left, top(slot.layer)]]
      const x = slot.x - left
      return [
        [x, top(slot.layer)],
        [x, top(slot.layer) + height]
      ]
    })
    return { from: edges[i]!.from, to: edges[i]!.to, points }
  })
  return {
    width: right - left,
    height: Math.max(0, layers.length * pitch - gapY),
    nodes: placed,
    edges: edgesRouted
  }
}
