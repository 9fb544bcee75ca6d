/** The first file that runs: help on the whole is printed at once, anything else loads the command line. */
const [first, ...others] = process.argv.slice(2)

if (others.length === 0 && (first === "--help" || first === "-h")) {
  const { helpText } = await import("./cli/HelpText.ts")
  // A reader that closes the pipe early (`| head`) has had enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))
  process.stdout.write(helpText)
} else await import("./Process.ts")
