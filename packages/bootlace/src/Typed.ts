/** The command as typed. Loads nothing: the supervisor needs it. */

/** A word as a POSIX shell takes it. */
export const quoted = (word: string): string =>
  /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

/** To type it again. */
export const commandLine = (args: ReadonlyArray<string>): string => ["npx", "bootlace", ...args].map(quoted).join(" ")
