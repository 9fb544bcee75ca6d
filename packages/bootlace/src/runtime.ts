/** bootlace/runtime: running plans. */
export * from "@bootlace/runtime"
