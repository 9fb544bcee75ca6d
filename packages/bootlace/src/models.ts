/** bootlace/models: CLIP and BLIP in tfjs-core operations. */
export * from "@bootlace/models"
