/** A node's config through its operator's schema: decoded with defaults, or every issue at its place. */
import * as Result from "effect/Result"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import type { SchemaAST } from "effect"
import type { Finding } from "../Diagnostic.ts"
import { didYouMean, nearest, unknownName } from "../Nearest.ts"
import type { AnyOperator } from "../Operator.ts"
import { spoken } from "../yaml/Tree.ts"
import type { Place } from "./Draft.ts"

export interface Decoded {
  readonly config: unknown
  /** With the defaults in it, so that spelling one out changes nothing. */
  readonly encoded: unknown
}

type Path = ReadonlyArray<PropertyKey>

interface Found {
  readonly path: Path
  readonly issue: SchemaIssue.Issue
  readonly ast: SchemaAST.AST | undefined
}

/** The issues that say something themselves, with the path to each and the schema around it. */
const leaves = (issue: SchemaIssue.Issue, path: Path, ast: SchemaAST.AST | undefined): ReadonlyArray<Found> => {
  switch (issue._tag) {
    case "Pointer":
      return leaves(issue.issue, [...path, ...issue.path], ast)
    case "Encoding":
      return leaves(issue.issue, path, ast)
    case "Composite":
      return issue.issues.flatMap((inner) => leaves(inner, path, issue.ast))
    case "AnyOf":
      return issue.issues.length === 1 ? leaves(issue.issues[0]!, path, ast) : [{ path, issue, ast: issue.ast }]
    default:
      return [{ path, issue, ast }]
  }
}

const valueAt = (config: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    config
  )

const keysOf = (ast: SchemaAST.AST | undefined): ReadonlyArray<string> =>
  ast?._tag === "Objects" ? ast.propertySignatures.map(({ name }) => String(name)) : []

const literalOf = (ast: SchemaAST.AST): ReadonlyArray<string> =>
  ast._tag === "Literal" ? [String(ast.literal)] : ast._tag === "Union" ? ast.types.flatMap(literalOf) : []

/** Of a union of structs: the key whose literal tells them apart, and the literals. */
const discriminator = (ast: SchemaAST.AST): readonly [string, ReadonlyArray<string>] | undefined => {
  if (ast._tag !== "Union") return undefined
  for (const key of keysOf(ast.types[0])) {
    const literals = ast.types.map((type) =>
      type._tag === "Objects" ? literalOf(type.propertySignatures.find(({ name }) => name === key)?.type ?? type) : []
    )
    if (literals.every((of) => of.length > 0)) return [key, literals.flat()]
  }
  return undefined
}

const formatLeaf = SchemaIssue.makeFormatterDefault()

/** What a schema accepts, in words; effect's own words where there are none better. */
const expectation = (issue: SchemaIssue.Issue): string => {
  if ((issue._tag === "InvalidType" || issue._tag === "AnyOf") && issue.ast._tag === "Union") {
    const literals = literalOf(issue.ast)
    if (literals.length === issue.ast.types.length) return `one of ${literals.join(", ")}`
  }
  return formatLeaf(issue)
    .replace(/^Expected /, "")
    .replace(/^number$/, "a number")
    .replace(/^string$/, "a text")
    .replace(/^boolean$/, "true or false")
}

const describe = (ast: SchemaAST.AST | undefined, key: PropertyKey): string => {
  const property = ast?._tag === "Objects" ? ast.propertySignatures.find(({ name }) => name === key) : undefined
  const description = property?.type.annotations?.["description"]
  return typeof description === "string" ? ` (${description})` : ""
}

const findingOf = ({ path, issue, ast }: Found, config: unknown, operator: AnyOperator, place: Place): Finding => {
  const key = String(path.at(-1) ?? "")
  const value = valueAt(config, path)
  if (issue._tag === "UnexpectedKey") {
    const known = keysOf(issue.ast)
    const inputs = path.length === 1 ? Object.keys(operator.inputs as object) : []
    const where = path.length === 1 ? operator.name : path.slice(0, -1).map(String).join(".")
    const label = inputs.includes(key)
      ? `${key} is an input: in: { ${key}: ... }`
      : `${where} has: ${known.join(", ") || "no keys"}`
    return unknownName({ code: "V106", message: "unknown key", ...place(path, "key"), label }, key, known)
  }
  if (issue._tag === "MissingKey") {
    const where = path.length === 1 ? operator.name : path.slice(0, -1).map(String).join(".")
    const label = `${where} needs ${key}${describe(ast, path.at(-1)!)}`
    return {
      code: "V108",
      message: "missing key",
      ...(path.length === 1 ? place(["op"]) : place(path)),
      label,
      expected: key
    }
  }
  const tells = issue._tag === "AnyOf" ? discriminator(issue.ast) : undefined
  if (tells !== undefined && typeof value === "object" && value !== null && !Array.isArray(value)) {
    const [by, literals] = tells
    const given = valueAt(value, [by])
    const label = `expected ${by}: one of ${literals.join(", ")}, got ${spoken(given)}`
    const expected = literals.join(", ")
    return {
      code: "V107",
      message: "wrong value",
      ...place([...path, by]),
      label,
      expected,
      given: spoken(given),
      ...didYouMean(String(given), literals)
    }
  }
  const said = formatLeaf(issue)
  const expected = expectation(issue)
  const label = said.startsWith("Expected ") ? `expected ${expected}, got ${spoken(value)}` : said
  const literals = "ast" in issue ? literalOf(issue.ast) : []
  const hint = typeof value === "string" ? didYouMean(value, literals) : {}
  return { code: "V107", message: "wrong value", ...place(path), label, expected, given: spoken(value), ...hint }
}

/** A struct without fields: effect would let any key pass. */
const isEmpty = (ast: SchemaAST.AST): boolean =>
  ast._tag === "Objects" && ast.propertySignatures.length === 0 && ast.indexSignatures.length === 0

const pathWord = (path: Path): string => path.map(String).join("\n")

/** The key that an unknown one is taken for: it isn't reported as missing too. */
const meant = ({ path, issue }: Found): ReadonlyArray<string> => {
  const key = issue._tag === "UnexpectedKey" ? nearest(String(path.at(-1)), keysOf(issue.ast)) : undefined
  return key === undefined ? [] : [pathWord([...path.slice(0, -1), key])]
}

/** Undefined where the config is wrong; the findings say how. */
export const decodeConfig = (
  operator: AnyOperator,
  config: Readonly<Record<string, unknown>>,
  place: Place,
  findings: Array<Finding>
): Decoded | undefined => {
  const { ast } = operator.config
  if (isEmpty(ast) && Object.keys(config).length > 0) {
    for (const key of Object.keys(config)) {
      const issue = new SchemaIssue.UnexpectedKey(ast)
      findings.push(findingOf({ path: [key], issue, ast }, config, operator, place))
    }
    return undefined
  }
  const decoded = SchemaParser.decodeUnknownResult(operator.config, { errors: "all", onExcessProperty: "error" })(
    config
  )
  if (Result.isFailure(decoded)) {
    const found = leaves(decoded.failure, [], ast)
    const misspelt = new Set(found.flatMap(meant))
    for (const one of found) {
      if (one.issue._tag === "MissingKey" && misspelt.has(pathWord(one.path))) continue
      findings.push(findingOf(one, config, operator, place))
    }
    return undefined
  }
  const encoded = SchemaParser.encodeUnknownResult(operator.config)(decoded.success)
  if (Result.isSuccess(encoded)) return { config: decoded.success, encoded: encoded.success }
  const label = `${operator.name} can't spell its own config: ${formatLeaf(encoded.failure)}`
  findings.push({ code: "V119", message: "fault in an operator", ...place(["op"]), label })
  return undefined
}
