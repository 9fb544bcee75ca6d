/** What the data room reports, as the failure of a node. */
import type { DataError, DataErrorCode } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"

const codes: Readonly<Record<DataErrorCode, string>> = {
  Missing: "R110",
  Unreadable: "R112",
  UnknownFormat: "R113",
  BadColumn: "R114",
  BadArrow: "R115",
  BadParquet: "R115",
  BadJson: "R115",
  BadMetadata: "R115",
  BadSafetensors: "R115",
  OverLimit: "R116",
  OutsideRoot: "R117",
  ParserStopped: "R118",
  BadImage: "R121",
  UnknownImage: "R121",
  EmptyText: "R122",
  BadText: "R123",
  Unwritable: "R422",
  NotDurable: "R422",
  DiskFull: "R423",
  Corrupted: "R422",
  NoArtifact: "R422",
  BadArtifact: "R422"
}

/** The code of a row that the data room turned away. */
export const codeOf = (code: string): string => codes[code as DataErrorCode] ?? "R112"

export const dataFailure =
  (node: string, hint?: string) =>
  (error: DataError): NodeError => {
    const said = error.hint ?? hint
    return new NodeError({
      code: codes[error.code],
      node,
      shard: error.file,
      ...(error.row === undefined ? {} : { row: error.row }),
      detail: error.reason,
      ...(said === undefined ? {} : { hint: said })
    })
  }
