/** A YAML file's text to a checked plan: pure, no file, model or data is touched. docs/yaml.md is its manual. */
import * as Effect from "effect/Effect"
import { checkPipeline } from "./check/CheckPipeline.ts"
import { Diagnostics, type Finding, locate, type Span } from "./Diagnostic.ts"
import type { Registry } from "./Operator.ts"
import type { Plan } from "./Plan.ts"
import { readDocument } from "./yaml/ReadDocument.ts"
import { readTree } from "./yaml/ReadTree.ts"
import { spoken, valueOf } from "./yaml/Tree.ts"

export interface ReadOptions {
  /** As the person named it: diagnostics repeat it. */
  readonly file: string
  readonly registry: Registry
  /** `--set name=value`: params by their type; of an axis the ids to keep, with commas between. */
  readonly set?: Readonly<Record<string, string>>
  /** Instead of the file's own; an axis `seed` stays what it is. */
  readonly seed?: number | undefined
}

/** Findings about a place whose value is missing because of another mistake say nothing new. */
const withoutEchoes = (findings: ReadonlyArray<Finding>, broken: ReadonlyArray<Span>): ReadonlyArray<Finding> =>
  findings.filter(
    ({ code, span }) =>
      code === "V109" ||
      span === undefined ||
      !broken.some((place) => span.start >= place.start && span.end <= place.end)
  )

const read = (
  text: string,
  { registry, set, seed }: ReadOptions
): { readonly plan?: Plan | undefined; readonly findings: ReadonlyArray<Finding> } => {
  const result = readTree(text)
  if ("findings" in result) return result
  if (result.tree._tag !== "Map") {
    const label = `a pipeline is a map that starts with version: 1, got ${spoken(valueOf(result.tree))}`
    return { findings: [{ code: "V107", message: "wrong value", span: { start: 0, end: 1 }, label }] }
  }
  const findings: Array<Finding> = []
  const broken: Array<Span> = []
  const document = readDocument(result.tree, new Map(Object.entries(set ?? {})), { registry, findings, broken })
  const checked = checkPipeline(seed === undefined ? document : { ...document, seed }, registry)
  const all = withoutEchoes([...findings, ...checked.findings], broken)
  return all.length > 0 ? { findings: all } : { plan: checked.plan, findings: [] }
}

/** The plan, or everything that is wrong with the file. */
export const readPipeline = (text: string, options: ReadOptions): Effect.Effect<Plan, Diagnostics> =>
  Effect.suspend(() => {
    const body = text.startsWith("\uFEFF") ? text.slice(1) : text
    const { plan, findings } = read(body, options)
    return plan !== undefined && findings.length === 0
      ? Effect.succeed(plan)
      : Effect.fail(new Diagnostics({ diagnostics: locate(findings, { file: options.file, text: body }) }))
  })
