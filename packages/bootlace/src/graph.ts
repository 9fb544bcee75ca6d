/** bootlace/graph: what a pipeline is. */
export * from "@bootlace/graph"
