/** What the engine reports, as the failure of a node. */
import type { EngineError } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"

const codes = {
  UnsupportedKernel: "R501",
  ShapeMismatch: "R502",
  InvalidProgram: "R503",
  Execution: "R504",
  Unavailable: "R505",
  NonFinite: "R301"
} as const satisfies Record<EngineError["reason"], string>

export const engineFailure =
  (node: string) =>
  (error: EngineError): NodeError =>
    new NodeError({ code: codes[error.reason], node, detail: error.message })
