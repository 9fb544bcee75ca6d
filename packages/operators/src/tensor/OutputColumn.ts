/** What a program gave, as an Arrow column of the declared type. */
import { flagColumn, labelColumn, scoreColumn, tensorColumn, textColumn } from "@bootlace/data"
import type { StoredType } from "@bootlace/graph"
import type { Vectors } from "@bootlace/data"
import type { OpenModel } from "./ModelArtifact.ts"
import type { HostColumn } from "./TensorOperator.ts"

/** The shape of one row where no row came to show it. */
const emptyShape = (type: StoredType, opened: OpenModel | undefined): ReadonlyArray<number> => {
  if (opened === undefined) throw new Error(`a column of type ${type} takes its shape from a model, and there is none`)
  if (type === "image_tokens") return opened.model.image_tokens
  return type === "embedding" ? [opened.model.embed_dim] : [opened.model.max_text_length]
}

/** `column` is undefined for a batch without rows. */
export const outputVector = (
  type: StoredType,
  column: HostColumn | undefined,
  opened: OpenModel | undefined
): Vectors[string] => {
  if (type === "text") return textColumn((column ?? []) as ReadonlyArray<string>)
  const tensor = column !== undefined && "data" in column ? column : undefined
  switch (type) {
    case "score":
      return scoreColumn((tensor?.data ?? new Float32Array()) as Float32Array)
    case "label":
      return labelColumn((tensor?.data ?? new Int32Array()) as Int32Array)
    case "flag":
      return flagColumn(Array.from(tensor?.data ?? [], Boolean))
    case "image":
      throw new Error("no tensor operator makes images")
    default: {
      const empty = type === "token_ids" ? new Int32Array() : new Float32Array()
      const values = (tensor?.data ?? empty) as Float32Array | Int32Array
      return tensorColumn(values, tensor?.shape.slice(1) ?? emptyShape(type, opened))
    }
  }
}
