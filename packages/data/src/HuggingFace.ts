/**
 * Shards and cards as Hugging Face's `datasets` reads them.
 *
 *   image                    struct<bytes, path>, feature Image
 *   text                     string
 *   score, label, flag       float32, int32, bool
 *   embedding and the like   list of float32 or int32
 *   row_id                   string of 32 hex digits
 */
import { DataType } from "apache-arrow"
import type { RecordBatch, Vector } from "apache-arrow"
import type { SchemaElement } from "hyparquet"
import { parquetWriteBuffer } from "hyparquet-writer"
import { columnsOf } from "./Batches.ts"
import { canonicalJson } from "./Canonical.ts"
import { rowIdBytes, rowIdHex } from "./RowId.ts"
import { flagsOf, floatsOf, imagesOf, intsOf, textsOf } from "./Rows.ts"

interface HubColumn {
  /** What `datasets` calls the type. */
  readonly feature: unknown
  /** The column's part of a Parquet schema, depth first. */
  readonly schema: (name: string) => ReadonlyArray<SchemaElement>
  readonly values: (vector: Vector) => ReadonlyArray<unknown>
}

const value = (dtype: string) => ({ dtype, _type: "Value" })

const leaf = (name: string, type: Exclude<SchemaElement["type"], undefined>): SchemaElement => ({
  name,
  type,
  repetition_type: "OPTIONAL"
})

const utf8 = (name: string): SchemaElement => ({
  ...leaf(name, "BYTE_ARRAY"),
  converted_type: "UTF8",
  logical_type: { type: "STRING" }
})

const image: HubColumn = {
  feature: { _type: "Image" },
  schema: (name) => [{ name, repetition_type: "OPTIONAL", num_children: 2 }, leaf("bytes", "BYTE_ARRAY"), utf8("path")],
  values: imagesOf
}

const listOf = (dtype: "float32" | "int32", length: number): HubColumn => ({
  feature: { feature: value(dtype), length, _type: "List" },
  schema: (name) => [
    { name, repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST", logical_type: { type: "LIST" } },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    leaf("element", dtype === "float32" ? "FLOAT" : "INT32")
  ],
  values: (vector) => {
    const all: Float32Array | Int32Array = dtype === "float32" ? floatsOf(vector) : intsOf(vector)
    return Array.from({ length: vector.length }, (_, row) =>
      vector.isValid(row) ? [...all.subarray(row * length, (row + 1) * length)] : null
    )
  }
})

const numbers = (dtype: "float32" | "int32"): HubColumn => ({
  feature: value(dtype),
  schema: (name) => [leaf(name, dtype === "float32" ? "FLOAT" : "INT32")],
  values: (vector) => [...vector]
})

const text: HubColumn = { feature: value("string"), schema: (name) => [utf8(name)], values: textsOf }

const flag: HubColumn = { feature: value("bool"), schema: (name) => [leaf(name, "BOOLEAN")], values: flagsOf }

const rowId: HubColumn = {
  feature: value("string"),
  schema: (name) => [utf8(name)],
  values: (vector) =>
    vector.data.flatMap((chunk) =>
      Array.from({ length: chunk.length }, (_, row) =>
        rowIdHex(chunk.values.subarray(0, chunk.length * rowIdBytes), row)
      )
    )
}

const hubColumn = (type: DataType): HubColumn => {
  if (DataType.isStruct(type)) return image
  if (DataType.isUtf8(type)) return text
  if (DataType.isBool(type)) return flag
  if (DataType.isFixedSizeBinary(type)) return rowId
  if (DataType.isFixedSizeList(type))
    return listOf(DataType.isFloat(type.valueType) ? "float32" : "int32", type.listSize)
  return numbers(DataType.isFloat(type) ? "float32" : "int32")
}

/** The dataset's features by column name, as they stand in Parquet metadata. */
export const hubFeatures = (batch: RecordBatch): Readonly<Record<string, unknown>> =>
  Object.fromEntries(batch.schema.fields.map(({ name, type }) => [name, hubColumn(type).feature]))

/**
 * One Parquet file of a batch; equal rows give equal bytes. Texts and numbers are compressed with Snappy,
 * images are compressed already.
 */
export const encodeParquet = (batch: RecordBatch): Uint8Array<ArrayBuffer> => {
  const columns = Object.entries(columnsOf(batch)).map(([name, vector]) => ({
    name,
    vector,
    ...hubColumn(vector.type)
  }))
  const root: SchemaElement = { name: "schema", num_children: columns.length }
  const bytes = parquetWriteBuffer({
    schema: [root, ...columns.flatMap(({ name, schema }) => schema(name))],
    columnData: columns.map(({ name, vector, values, feature }) => ({
      name,
      data: [...values(vector)],
      codec: feature === image.feature ? "UNCOMPRESSED" : "SNAPPY",
      statistics: feature !== image.feature
    })),
    rowGroupSize: 1_024,
    kvMetadata: [{ key: "huggingface", value: canonicalJson({ info: { features: hubFeatures(batch) } }) }],
    createdBy: "bootlace"
  })
  return new Uint8Array(bytes)
}

export interface CardOptions {
  readonly name: string
  /** What the dataset is, in Markdown. */
  readonly description: string
  readonly license?: string
  /** A glob over the data files, relative to the card. */
  readonly files: string
  readonly split?: string
  readonly num_rows: number
  /** Bytes of the data files. */
  readonly num_bytes: number
  /** Any batch of the data: its columns are listed. */
  readonly columns: RecordBatch
}

const sizeCategory = (rows: number): string => {
  const steps: ReadonlyArray<readonly [number, string]> = [
    [1e3, "n<1K"],
    [1e4, "1K<n<10K"],
    [1e5, "10K<n<100K"],
    [1e6, "100K<n<1M"],
    [1e7, "1M<n<10M"]
  ]
  return steps.find(([below]) => rows < below)?.[1] ?? "n>10M"
}

/** A one-line feature as the card's YAML spells it. */
const cardFeature = (name: string, feature: unknown): string => {
  const { dtype, _type, length } = feature as { dtype?: string; _type: string; length?: number }
  const quoted = JSON.stringify(name)
  if (_type === "Image") return `  - name: ${quoted}\n    dtype: image`
  if (_type === "List") {
    const { dtype: item } = (feature as { feature: { dtype: string } }).feature
    return `  - name: ${quoted}\n    list: ${item}\n    length: ${length}`
  }
  return `  - name: ${quoted}\n    dtype: ${dtype}`
}

/** The README.md of a dataset folder: front matter that the Hub and `load_dataset` read, then the description. */
export const datasetCard = (options: CardOptions): string => {
  const split = options.split ?? "train"
  const features = Object.entries(hubFeatures(options.columns)).map(([name, feature]) => cardFeature(name, feature))
  return [
    "---",
    ...(options.license === undefined ? [] : [`license: ${JSON.stringify(options.license)}`]),
    "task_categories:",
    "- image-to-text",
    "size_categories:",
    `- ${JSON.stringify(sizeCategory(options.num_rows))}`,
    "configs:",
    "- config_name: default",
    "  data_files:",
    `  - split: ${JSON.stringify(split)}`,
    `    path: ${JSON.stringify(options.files)}`,
    "dataset_info:",
    "  features:",
    ...features,
    "  splits:",
    `  - name: ${JSON.stringify(split)}`,
    `    num_bytes: ${options.num_bytes}`,
    `    num_examples: ${options.num_rows}`,
    "---",
    "",
    `# ${options.name}`,
    "",
    options.description,
    ""
  ].join("\n")
}
