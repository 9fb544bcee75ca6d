export * from "./EngineError.ts"
export * from "./Program.ts"
