/**
 * The types of columns and artifacts: what a wire may carry.
 *
 *   type          Arrow                                     tensor
 *   image         struct<bytes: binary, path: utf8>         decoded by the operator that needs pixels
 *   text          utf8                                      tokenised by the operator that needs ids
 *   token_ids     fixed_shape_tensor<int32>[T]              [B, T]
 *   image_tokens  fixed_shape_tensor<float32>[N, D]         [B, N, D]; over 16 KiB a row: streamed, not stored
 *   embedding     fixed_shape_tensor<float32>[E]            [B, E]
 *   score         float32                                   [B]
 *   label         int32                                     [B]
 *   flag          bool                                      [B]
 *   loss          none: a scalar of a batch                 [], exists only inside Train
 *   similarity    none: every pair of a batch               [B, B], exists only inside Train
 */
export const columnTypes = [
  "image",
  "text",
  "token_ids",
  "image_tokens",
  "embedding",
  "score",
  "label",
  "flag"
] as const
export const batchTypes = ["loss", "similarity"] as const

export type StoredType = (typeof columnTypes)[number]
export type BatchType = (typeof batchTypes)[number]
export type ColumnType = StoredType | BatchType

export const artifactTypes = ["model", "vocabulary", "threshold", "metrics", "dataset"] as const
export type ArtifactType = (typeof artifactTypes)[number]

export type Columns = Readonly<Record<string, ColumnType>>

/** The reserved first column of every batch: a 128-bit hash of (source content, row index), or derived from the parent row. */
export const rowIdColumn = "row_id"
