/**
 * README.md of an exported model: what it is, what it learnt from, and what was measured, all out of the run's record.
 *
 * Results are those of the nodes that the model's own outputs flow into; a number that another model had a part in is not its
 * own and stays out.
 */
import type { DrawnNode, RunRecord } from "@bootlace/graph"
import type { ExportDtype } from "@bootlace/operators"
import { basename } from "node:path"
import { commandLine } from "./Typed.ts"
import type { RunLock } from "./RunLock.ts"
import { version } from "./version.ts"

export interface CardFacts {
  readonly record: RunRecord
  /** The node that made the model. */
  readonly node: string
  /** transformers' class. */
  readonly class: string
  readonly dtype: ExportDtype
  readonly parameters: number
  readonly attribution: string | undefined
  /** As the node's key has it; unknown of a run whose keys are gone. */
  readonly config?: unknown
  /** Of a finished run. */
  readonly lock?: RunLock
}

/** The hub's tasks; it has none for matching images and texts. */
const tasks: Readonly<Record<string, string>> = {
  CLIPModel: "zero-shot-image-classification",
  BlipForConditionalGeneration: "image-to-text"
}

/** Nodes that read from `from`, directly or through others, without passing through `walls`. */
const downstream = (graph: ReadonlyArray<DrawnNode>, from: string, isWall: (node: DrawnNode) => boolean) => {
  const reached = new Set([from])
  // The graph is in order of dependence: whatever a node reads has been seen before it.
  for (const node of graph) {
    if (!isWall(node) && node.inputs.some((input) => reached.has(input.from))) reached.add(node.id)
  }
  reached.delete(from)
  return reached
}

const upstream = (graph: ReadonlyArray<DrawnNode>, from: string): ReadonlySet<string> => {
  const reached = new Set([from])
  for (const node of graph.toReversed())
    if (reached.has(node.id)) for (const input of node.inputs) reached.add(input.from)
  return reached
}

const isModelMaker = ({ op }: DrawnNode): boolean => op === "Train" || op === "InitModel"

/** Metrics whose only trained model is this one, by name. */
export const ownMetrics = ({ graph, metrics }: RunRecord, node: string): ReadonlyArray<readonly [string, number]> => {
  const own = downstream(graph, node, isModelMaker)
  const makers = graph.filter((each) => isModelMaker(each) && each.id !== node)
  const others = new Set(makers.flatMap((maker) => [...downstream(graph, maker.id, isModelMaker)]))
  const ids = [...own].filter((id) => !others.has(id))
  return Object.entries(metrics).filter(([name]) => ids.some((id) => name.startsWith(`${id}.`)))
}

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

const number = (value: number): string => (Number.isInteger(value) ? String(value) : value.toPrecision(4))

const sourcesOf = ({ graph, nodes }: RunRecord, node: string): ReadonlyArray<ReadonlyArray<string>> => {
  const above = upstream(graph, node)
  return graph
    .filter(({ id, kind }) => kind === "source" && above.has(id))
    .map(({ id, op }) => [id, op, number(nodes[id]?.rows_out ?? 0), `\`${nodes[id]?.artifact.slice(0, 12) ?? ""}\``])
}

const frontMatter = (facts: CardFacts): string =>
  [
    "---",
    "library_name: transformers",
    ...(tasks[facts.class] === undefined ? [] : [`pipeline_tag: ${tasks[facts.class]}`]),
    `tags: [vision, ${/^(clip|blip|siglip)/i.exec(facts.class)![0].toLowerCase()}, bootlace]`,
    "---"
  ].join("\n")

const usageOf = ({ class: name }: CardFacts): string =>
  [
    "```python",
    `from transformers import AutoProcessor, ${name}`,
    "",
    `model = ${name}.from_pretrained(".")`,
    "```"
  ].join("\n")

const resultsOf = ({ record, node }: CardFacts): string => {
  const rows = ownMetrics(record, node).map(([name, value]) => [name, number(value)])
  return rows.length === 0
    ? "No node of the run measured this model alone."
    : `Measured in the run, by the nodes that this model's outputs flow into.\n\n${table(["metric", "value"], rows)}`
}

const configOf = ({ config }: CardFacts): ReadonlyArray<string> =>
  config === undefined ? [] : [`\`\`\`json\n${JSON.stringify(config, null, 2)}\n\`\`\``]

/** Paths of the machine stay out. */
const reproduction = (lock: RunLock): string => {
  const { file, set, seed } = lock.pipeline
  const again = ["run", basename(file), ...set.flatMap((each) => ["--set", each])]
  const precision = lock.precision === undefined ? [] : ["--precision", lock.precision]
  const options = ["--engine", lock.engine, ...precision, "--threads", String(lock.threads)]
  const command = commandLine([...again, ...(seed === undefined ? [] : ["--seed", String(seed)]), ...options])
  return `## Run it again

\`\`\`
${command}
\`\`\`

With the run's \`run.lock\`, \`npx bootlace reproduce run.lock\` also compares every node's bytes. It ran on Node ${lock.node}, bootlace
${lock.bootlace}, engine \`${lock.numerics}\`.`
}

export const modelCard = (facts: CardFacts): string => {
  const { record, node } = facts
  const training = Object.entries(record.metrics).filter(([name]) => name.startsWith(`${node}.`))
  const sections = [
    frontMatter(facts),
    `# ${record.pipeline}: ${node}`,
    `${facts.class} with ${facts.parameters.toLocaleString("en")} parameters, stored as ${facts.dtype}.\n\n${usageOf(facts)}`,
    `## Training\n\n${table(
      ["", ""],
      [
        ["pipeline", record.pipeline],
        ["node", node],
        ["run", record.run],
        ["plan", record.plan],
        ["seed", String(record.seed)],
        ["engine", record.engine],
        ["bootlace", version],
        ...training.map(([name, value]) => [name.slice(node.length + 1), number(value)])
      ]
    )}`,
    ...configOf(facts),
    ...(facts.lock === undefined ? [] : [reproduction(facts.lock)]),
    `## Data\n\n${table(["node", "operator", "rows", "content"], sourcesOf(record, node))}`,
    ...(facts.attribution === undefined ? [] : [facts.attribution]),
    `## Results\n\n${resultsOf(facts)}`
  ]
  return `${sections.join("\n\n")}\n`
}
