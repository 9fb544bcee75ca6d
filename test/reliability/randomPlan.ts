/** A random plan of 2 to 12 nodes of the small operators, as YAML: every kind of node, wired to whatever there is by then. */
const pick = <A>(from: ReadonlyArray<A>, chance: () => number): A => from[Math.floor(chance() * from.length)]!
const whole = (from: number, to: number, chance: () => number): number => from + Math.floor(chance() * (to - from + 1))

/** What a later node can be wired to. */
interface Wires {
  readonly streams: Array<string>
  /** Columns of one row set: its text, its number, and its stream. */
  readonly rows: Array<{ readonly text: string; readonly value: string; readonly stream: string }>
}

const sourceNode = (id: string, wires: Wires, chance: () => number): string => {
  wires.streams.push(`${id}.rows`)
  wires.rows.push({ text: `${id}.text`, value: `${id}.value`, stream: `${id}.rows` })
  const bad = chance() < 0.3 ? whole(2, 6, chance) : 0
  return `{ op: Numbers, shards: ${whole(1, 3, chance)}, rows: ${whole(1, 16, chance)}, bad: ${bad}, word: ${id} }`
}

const makers: ReadonlyArray<(id: string, wires: Wires, chance: () => number) => string> = [
  (id, wires, chance) => {
    const { text, ...rest } = pick(wires.rows, chance)
    wires.rows.push({ ...rest, text, value: `${id}.length` })
    return `{ op: Measure, in: { text: ${text} }, refuse: ${chance() < 0.3 ? whole(3, 7, chance) : 0} }`
  },
  (id, wires, chance) => {
    const { text, value } = pick(wires.rows, chance)
    wires.streams.push(`${id}.high`, `${id}.low`)
    for (const port of ["high", "low"])
      wires.rows.push({ text: `${id}.${port}.text`, value: `${id}.${port}.value`, stream: `${id}.${port}` })
    return `{ op: Split, in: { value: ${value}, text: ${text} }, from: ${chance().toFixed(2)} }`
  },
  (_, wires, chance) => `{ op: Sum, in: { score: ${pick(wires.rows, chance).value} } }`,
  (_, wires, chance) =>
    `{ op: Words, in: { text: [${pick(wires.rows, chance).text}, ${pick(wires.rows, chance).text}] } }`,
  (_, wires, chance) => `{ op: Median, in: { value: ${pick(wires.rows, chance).value} } }`,
  (_, wires, chance) =>
    `{ op: Embed, in: { value: ${pick(wires.rows, chance).value} }, batch_size: ${whole(1, 5, chance)} }`,
  sourceNode
]

/** A model without rows and a training; the first source gives it rows even where the other stream has none. */
const training = (wires: Wires, chance: () => number): string => `
  start: { op: Start }
  learn:
    op: Learn
    init: start.model
    in: { pairs: [n0.rows, ${pick(wires.streams, chance)}] }
    graph: { size: { op: Measure, in: { text: pairs.text } } }
    minimize: [size.length_loss]
    steps: ${whole(2, 12, chance)}
    every: ${whole(1, 4, chance)}`

export const randomPlan = (chance: () => number): string => {
  const wires: Wires = { streams: [], rows: [] }
  const trains = chance() < 0.4
  const count = whole(2, trains ? 10 : 12, chance)
  const nodes = Array.from({ length: count }, (_, i) => {
    const id = `n${i}`
    return `  ${id}: ${i === 0 ? sourceNode(id, wires, chance) : pick(makers, chance)(id, wires, chance)}`
  })
  const seed = whole(1, 1000, chance)
  return `version: 1\nname: random\nseed: ${seed}\nnodes:\n${nodes.join("\n")}${trains ? training(wires, chance) : ""}\n`
}
