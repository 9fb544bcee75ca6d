/** bootlace/operators: the built-in operators. */
export * from "@bootlace/operators"
