/** The SavedModel writer, read back by field numbers of TensorFlow's .proto files. */
import { expect, it } from "vitest"
import { encodeSavedModel } from "../../src/tensorflow/SavedModel.ts"
import { decodeSavedModel, fieldsOf } from "./ProtobufReader.ts"

const attributesOf = (attributes: Parameters<typeof encodeSavedModel>[0][number]["attributes"]) =>
  decodeSavedModel(encodeSavedModel([{ name: "n0", op: "Op", inputs: [], attributes }])).nodes[0]!.attributes

it("writes nodes in order with their inputs, tagged for serving", () => {
  const model = decodeSavedModel(
    encodeSavedModel([
      { name: "n0", op: "Placeholder", inputs: [], attributes: { dtype: { type: "float32" } } },
      { name: "n1", op: "Neg", inputs: ["n0"], attributes: {} },
      { name: "n2", op: "Split", inputs: ["n0:1", "^n1"], attributes: {} }
    ])
  )
  expect(model.tags).toEqual(["serve"])
  expect(model.versions).toEqual({ producer: 1882, min_consumer: 12 })
  expect(model.nodes.map(({ name, op, inputs }) => [name, op, inputs])).toEqual([
    ["n0", "Placeholder", []],
    ["n1", "Neg", ["n0"]],
    ["n2", "Split", ["n0:1", "^n1"]]
  ])
})

it("writes every kind of attribute in its field", () => {
  const written = attributesOf({
    type: { type: "bfloat16" },
    int: { int: -1 },
    float: { float: 0.5 },
    bool: { bool: false },
    string: { string: "w:a" },
    shape: { shape: [2, -1, 3] },
    scalar: { shape: [] }
  })
  expect(written.type!.get(6)).toEqual([14n])
  expect(BigInt.asIntN(64, written.int!.get(3)![0] as bigint)).toBe(-1n)
  expect([...(written.float!.get(4)![0] as Uint8Array)]).toEqual([0, 0, 0, 63])
  expect(written.bool!.get(5)).toEqual([0n])
  expect(new TextDecoder().decode(written.string!.get(2)![0] as Uint8Array)).toBe("w:a")
  const lengths = (name: string) =>
    (fieldsOf(written[name]!.get(7)![0] as Uint8Array).get(2) ?? []).map((one) =>
      Number(BigInt.asIntN(64, fieldsOf(one as Uint8Array).get(1)![0] as bigint))
    )
  expect(lengths("shape")).toEqual([2, -1, 3])
  expect(lengths("scalar")).toEqual([])
})

it("writes tensors by their bytes, or as one number for all elements", () => {
  const written = attributesOf({
    bytes: { tensor: { dtype: "int32", shape: [2], content: Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0) } },
    float: { tensor: { dtype: "float32", shape: [3], content: 2 } },
    int: { tensor: { dtype: "int32", shape: [], content: -7 } },
    bool: { tensor: { dtype: "bool", shape: [], content: 1 } }
  })
  const tensor = (name: string) => fieldsOf(written[name]!.get(8)![0] as Uint8Array)
  expect(["bytes", "float", "int", "bool"].map((name) => tensor(name).get(1))).toEqual([[3n], [1n], [3n], [10n]])
  expect([...(tensor("bytes").get(4)![0] as Uint8Array)]).toEqual([1, 0, 0, 0, 2, 0, 0, 0])
  expect([...(tensor("float").get(5)![0] as Uint8Array)]).toEqual([0, 0, 0, 64])
  expect(BigInt.asIntN(64, tensor("int").get(7)![0] as bigint)).toBe(-7n)
  expect(tensor("bool").get(11)).toEqual([1n])
})
