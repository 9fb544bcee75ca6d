/** The `params:` of a file: each has a type and a default; `--set name=value` is read by the type. */
import * as Result from "effect/Result"
import type { Finding, Span } from "../Diagnostic.ts"
import { didYouMean } from "../Nearest.ts"
import { unknownKeys, wrongValue } from "./Mistakes.ts"
import { type Tree, type TreeMap, spoken, valueOf } from "./Tree.ts"

export const paramTypes = ["int", "number", "string", "boolean"] as const
export type ParamType = (typeof paramTypes)[number]

const fits: Readonly<Record<ParamType, (value: unknown) => boolean>> = {
  int: Number.isSafeInteger,
  number: Number.isFinite,
  string: (value) => typeof value === "string",
  boolean: (value) => typeof value === "boolean"
}
const said: Readonly<Record<ParamType, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false"
}

const fromText = (type: ParamType, text: string): Result.Result<string | number | boolean, string> => {
  if (type === "string") return Result.succeed(text)
  const value =
    type === "boolean"
      ? text === "true"
        ? true
        : text === "false"
          ? false
          : undefined
      : text.trim() === ""
        ? undefined
        : Number(text)
  return value !== undefined && fits[type](value) ? Result.succeed(value) : Result.fail(said[type])
}

/** The declared type; undefined where there is none that is right. */
const typeOf = (key: Span, tree: TreeMap, findings: Array<Finding>): ParamType | undefined => {
  const found = tree.entries.get("type")?.value
  const word = found?._tag === "Scalar" ? String(found.value) : ""
  const type = paramTypes.find((known) => known === word)
  if (type !== undefined) return type
  const at =
    found === undefined
      ? { code: "V108", message: "missing key", span: key }
      : { code: "V107", message: "wrong value", span: found.span }
  findings.push({ ...at, label: `type is one of ${paramTypes.join(", ")}`, ...didYouMean(word, paramTypes) })
  return undefined
}

const fromSet = (
  name: string,
  key: Span,
  type: ParamType,
  given: string,
  findings: Array<Finding>
): Tree | undefined => {
  const value = fromText(type, given)
  if (Result.isSuccess(value)) return { _tag: "Scalar", value: value.success, span: key }
  const message = `wrong value in --set ${name}=${given}`
  const label = `expected ${value.failure}, got ${spoken(given)}`
  findings.push({ code: "V109", message, span: key, label, expected: type, given })
  return undefined
}

const readParam = (
  name: string,
  key: Span,
  tree: Tree,
  given: string | undefined,
  findings: Array<Finding>
): Tree | undefined => {
  if (tree._tag !== "Map") {
    const label = `a param is written { type: int, default: ${tree._tag === "Scalar" ? spoken(tree.value) : "1"} }`
    findings.push({ code: "V107", message: "wrong value", span: tree.span, label })
    return undefined
  }
  findings.push(...unknownKeys(tree, "a param", ["type", "default", "description"]))
  const type = typeOf(key, tree, findings)
  if (type === undefined) return undefined
  const fallback = tree.entries.get("default")?.value
  if (fallback !== undefined && !fits[type](valueOf(fallback))) {
    findings.push(wrongValue(fallback, said[type]))
    return undefined
  }
  if (given !== undefined) return fromSet(name, key, type, given, findings)
  if (fallback === undefined) {
    const label = `no default: give it with --set ${name}=...`
    findings.push({ code: "V109", message: "param without a value", span: key, label })
  }
  return fallback
}

/** Every param's value, by name. A param in error has the value null, so that its uses aren't reported too. */
export const readParams = (
  tree: TreeMap | undefined,
  set: ReadonlyMap<string, string>,
  findings: Array<Finding>
): Map<string, Tree> => {
  const values = new Map<string, Tree>()
  for (const [name, { key, value }] of tree?.entries ?? []) {
    const read = readParam(name, key, value, set.get(name), findings)
    values.set(name, read ?? { _tag: "Scalar", value: null, span: key })
  }
  return values
}
