/** The `params:` of a file: each has a type and a default; `--set name=value` is read by the type. */
import { Result } from "effect"
import type { Finding, Span } from "../Diagnostic.ts"
import { didYouMean } from "../Nearest.ts"
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

const keys = ["type", "default", "description"]

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
  for (const [other, entry] of tree.entries) {
    if (keys.includes(other)) continue
    const label = `a param has: ${keys.join(", ")}`
    findings.push({
      code: "V106",
      message: "unknown key",
      span: entry.key,
      label,
      given: other,
      ...didYouMean(other, keys)
    })
  }
  const typeTree = tree.entries.get("type")?.value
  const type = paramTypes.find((known) => typeTree?._tag === "Scalar" && typeTree.value === known)
  if (type === undefined) {
    const at =
      typeTree === undefined
        ? { code: "V108", message: "missing key", span: key }
        : { code: "V107", message: "wrong value", span: typeTree.span }
    const word = typeTree?._tag === "Scalar" ? String(typeTree.value) : ""
    findings.push({ ...at, label: `type is one of ${paramTypes.join(", ")}`, ...didYouMean(word, paramTypes) })
    return undefined
  }
  const fallback = tree.entries.get("default")?.value
  if (fallback !== undefined && !fits[type](valueOf(fallback))) {
    const label = `expected ${said[type]}, got ${spoken(valueOf(fallback))}`
    findings.push({
      code: "V107",
      message: "wrong value",
      span: fallback.span,
      label,
      expected: type,
      given: spoken(valueOf(fallback))
    })
    return undefined
  }
  if (given !== undefined) {
    const value = fromText(type, given)
    if (Result.isSuccess(value)) return { _tag: "Scalar", value: value.success, span: key }
    const label = `expected ${value.failure}, got ${spoken(given)}`
    findings.push({
      code: "V109",
      message: `wrong value in --set ${name}=${given}`,
      span: key,
      label,
      expected: type,
      given
    })
    return undefined
  }
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
