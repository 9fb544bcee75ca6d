/** Topological order that depends on names only: of all nodes that are ready, the first by code unit comes next. */

export interface Order {
  /** Without the nodes on a cycle and those behind one. */
  readonly order: ReadonlyArray<string>
  /** A cycle, first and last the same, if there is one. */
  readonly cycle: ReadonlyArray<string> | undefined
}

/** Keeps `ready` sorted, smallest last. */
const insert = (ready: Array<string>, id: string): void => {
  let low = 0
  let high = ready.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ready[middle]! > id) low = middle + 1
    else high = middle
  }
  ready.splice(low, 0, id)
}

/** Among nodes that all wait for others, following what each waits for must come round. */
const cycleAmong = (
  waiting: ReadonlySet<string>,
  reads: (id: string) => ReadonlyArray<string>
): ReadonlyArray<string> => {
  const path: Array<string> = []
  const at = new Map<string, number>()
  let here = [...waiting].sort()[0]!
  while (!at.has(here)) {
    at.set(here, path.length)
    path.push(here)
    here = reads(here).find((read) => waiting.has(read))!
  }
  const loop = path.slice(at.get(here)!)
  const start = loop.indexOf([...loop].sort()[0]!)
  const turned = [...loop.slice(start), ...loop.slice(0, start)].reverse()
  return [turned.at(-1)!, ...turned]
}

export const topological = (ids: ReadonlyArray<string>, reads: (id: string) => ReadonlyArray<string>): Order => {
  const readers = new Map<string, Array<string>>()
  const open = new Map<string, number>()
  const ready: Array<string> = []
  for (const id of ids) {
    const read = new Set(reads(id))
    open.set(id, read.size)
    for (const one of read) {
      const known = readers.get(one)
      if (known === undefined) readers.set(one, [id])
      else known.push(id)
    }
    if (read.size === 0) insert(ready, id)
  }
  const order: Array<string> = []
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    order.push(id)
    for (const reader of readers.get(id) ?? []) {
      const left = open.get(reader)! - 1
      open.set(reader, left)
      if (left === 0) insert(ready, reader)
    }
  }
  const done = new Set(order)
  const waiting = new Set(ids.filter((id) => !done.has(id)))
  return { order, cycle: waiting.size === 0 ? undefined : cycleAmong(waiting, reads) }
}
