/**
 * Bootlace from TypeScript: the operator contract, composition, configs, and trained models to try.
 *
 * The rooms behind it have subpaths of their own: bootlace/graph, /engine, /models, /data, /operators, /runtime.
 */
import type { OpenOptions, TrainedModel } from "./TrainedModel.ts"

export * from "@bootlace/graph"
export { defineConfig } from "./ConfigFile.ts"
export type { Config } from "./ConfigFile.ts"
export type { Classified, ImageInput, OpenOptions, Scored, TrainedModel } from "./TrainedModel.ts"

/**
 * Opens a trained model: `open("latest", "captioner")`. The first argument is a run (an id, its beginning, `latest`) or a
 * folder with config.json and model.safetensors; without a node it is the run's last model. Rejects with a message that says
 * what is missing.
 */
export const open = async (runOrFolder: string, node?: string, options?: OpenOptions): Promise<TrainedModel> =>
  (await import("./TrainedModel.ts")).open(runOrFolder, node, options)
