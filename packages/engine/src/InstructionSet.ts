/** The widest vector instructions of this CPU: the same model gives different last bits on different ones. */
import { readFileSync } from "node:fs"
import { arch } from "node:process"

/** `avx512`, `avx2`, `sse`, `neon`, or the architecture where the system doesn't tell. */
export function instructionSet(): string {
  if (arch === "arm64") return "neon"
  let flags = ""
  try {
    flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? ""
  } catch {
    return arch // Only Linux has the file.
  }
  if (flags.includes(" avx512f")) return "avx512"
  return flags.includes(" avx2") ? "avx2" : "sse"
}
