/** Where words go: results to stdout, everything else to stderr. Colour only on a terminal, and never with NO_COLOR. */
import * as Effect from "effect/Effect"

export const out = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stdout.write(text.endsWith("\n") ? text : `${text}\n`)
  })

export const note = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(text.endsWith("\n") ? text : `${text}\n`)
  })

export interface Screen {
  readonly live: boolean
  readonly colour: boolean
  /** Columns. */
  readonly width: number
}

/** What stderr can show: live bars on a terminal that isn't a dumb one. */
export const stderrScreen = (env: NodeJS.ProcessEnv = process.env): Screen => {
  const terminal = process.stderr.isTTY === true && env["TERM"] !== "dumb"
  return {
    live: terminal && env["CI"] === undefined,
    colour: terminal && (env["NO_COLOR"] ?? "") === "",
    width: process.stderr.columns ?? 80
  }
}

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34 } as const
export type Paint = keyof typeof codes

export const paint = (screen: Pick<Screen, "colour">, style: Paint, text: string): string =>
  screen.colour ? `\u001b[${codes[style]}m${text}\u001b[0m` : text
