/** bootlace/data: images, Arrow, shards, the artifact store. */
export * from "@bootlace/data"
