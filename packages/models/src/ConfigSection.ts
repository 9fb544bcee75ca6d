/** Reading a JSON config key by key: what is wrong is collected, so that one error names all of it. */

export type Triple = readonly [number, number, number]

/** A config that no model can be made of; one line per problem, each naming its key. */
export class ConfigError extends Error {
  override readonly name = "ConfigError"
  readonly problems: ReadonlyArray<string>
  constructor(problems: ReadonlyArray<string>) {
    super(`model config: ${problems.join("\n")}`)
    this.problems = problems
  }
}

const show = (value: unknown): string => (value === undefined ? "nothing" : JSON.stringify(value))

/** Reads typed keys of one JSON object and notes what is wrong under its dotted path. */
export class Section {
  private readonly values: Readonly<Record<string, unknown>>
  private readonly path: string
  private readonly problems: Array<string>

  constructor(value: unknown, path: string, problems: Array<string>) {
    this.path = path
    this.problems = problems
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value)
    if (!isObject) this.wrong("", "an object", value)
    this.values = isObject ? (value as Record<string, unknown>) : {}
  }

  wrong(key: string, expected: string, value: unknown): void {
    const where = [this.path, key].filter((part) => part !== "").join(".")
    this.problems.push(`${where === "" ? "the config" : where}: expected ${expected}, got ${show(value)}`)
  }

  section(key: string): Section {
    return new Section(this.values[key], this.path === "" ? key : `${this.path}.${key}`, this.problems)
  }

  private read<A>(
    key: string,
    expected: string,
    is: (value: unknown) => value is A,
    stand_in: A,
    optional: boolean
  ): A {
    const value = this.values[key]
    if (is(value)) return value
    if (!(optional && (value === undefined || value === null))) this.wrong(key, expected, value)
    return stand_in
  }

  /** A size. Without a default it must be there. */
  size(key: string, fallback?: number): number {
    const is = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0
    return this.read(key, "a positive integer", is, fallback ?? 1, fallback !== undefined)
  }

  tokenId(key: string, fallback: number): number {
    const is = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
    return this.read(key, "a token id", is, fallback, true)
  }

  /** Undefined where it isn't given. */
  optionalReal(key: string): number | undefined {
    const value = this.values[key]
    return value === undefined || value === null ? undefined : this.real(key, 0)
  }

  real(key: string, fallback: number): number {
    const is = (value: unknown): value is number => Number.isFinite(value)
    return this.read(key, "a number", is, fallback, true)
  }

  flag(key: string, fallback: boolean): boolean {
    return this.read(key, "true or false", (value) => typeof value === "boolean", fallback, true)
  }

  triple(key: string): Triple | undefined {
    const value = this.values[key]
    if (value === undefined || value === null) return undefined
    if (Array.isArray(value) && value.length === 3 && value.every(Number.isFinite)) return value as unknown as Triple
    this.wrong(key, "three numbers", value)
    return undefined
  }

  names(key: string): ReadonlyArray<string> {
    const is = (value: unknown): value is ReadonlyArray<string> =>
      Array.isArray(value) && value.every((item) => typeof item === "string")
    return this.read(key, "a list of names", is, [], true)
  }

  /** Undefined where it isn't given. */
  optionalOneOf<const A extends string>(key: string, choices: ReadonlyArray<A>): A | undefined {
    const value = this.values[key]
    return value === undefined || value === null ? undefined : this.oneOf(key, choices)
  }

  oneOf<const A extends string>(key: string, choices: ReadonlyArray<A>, fallback?: A): A {
    const is = (value: unknown): value is A => choices.some((choice) => choice === value)
    return this.read(key, choices.map(show).join(" or "), is, fallback ?? choices[0]!, fallback !== undefined)
  }
}
