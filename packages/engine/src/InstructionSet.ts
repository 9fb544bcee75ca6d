/** The widest vector instructions of this CPU: the same model gives different last bits on different ones. */
import { readFileSync } from "node:fs"
import { arch } from "node:process"

/** What the processor can, a word for each ability between spaces; undefined where the system doesn't tell. */
export function processorFlags(): string | undefined {
  try {
    return /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? ""
  } catch {
    return undefined // Only Linux has the file.
  }
}

/** `avx512`, `avx2`, `sse`, `neon`, or the architecture where the system doesn't tell. */
export function instructionSet(): string {
  if (arch === "arm64") return "neon"
  const flags = processorFlags()
  if (flags === undefined) return arch
  if (flags.includes(" avx512f")) return "avx512"
  return flags.includes(" avx2") ? "avx2" : "sse"
}
