/**
 * The rows that a fold needs all at once, kept as Arrow batches. A snapshot is one shard, the same however the rows came.
 */
import { concatBatches, decodeShard, encodeShard } from "@bootlace/data"
import type { Batch, Files } from "@bootlace/graph"

const file = "rows.arrow"

export interface CollectedRows {
  readonly add: (batch: Batch) => void
  /** All rows as one batch; undefined before the first row. */
  readonly all: () => Batch | undefined
  readonly snapshot: () => Files
  readonly restore: (files: Files) => void
}

export const collectRows = (): CollectedRows => {
  let batches: Array<Batch> = []
  const all = (): Batch | undefined => {
    if (batches.length > 1) batches = [concatBatches(batches)]
    return batches[0]
  }
  return {
    add: (batch) => {
      if (batch.numRows > 0) batches.push(batch)
    },
    all,
    snapshot: () => {
      const batch = all()
      return batch === undefined ? {} : { [file]: encodeShard([batch]) }
    },
    restore: (files) => {
      const bytes = files[file]
      batches = bytes === undefined ? [] : [...decodeShard(bytes, file)]
    }
  }
}
