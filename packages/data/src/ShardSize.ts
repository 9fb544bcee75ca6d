/** How large a shard may get: rows, and bytes of Arrow. */
export interface ShardSize {
  readonly max_rows: number
  readonly max_bytes: number
}

export const defaultShardSize: ShardSize = { max_rows: 4_096, max_bytes: 64 * 1024 * 1024 }
