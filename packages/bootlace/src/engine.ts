/** bootlace/engine: capture, compile and run tensor programs. */
export * from "@bootlace/engine"
