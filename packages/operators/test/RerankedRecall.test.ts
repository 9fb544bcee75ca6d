import { floatsOf, imageColumn, rowIdHex, rowIdsOf, sliceRows, tensorColumn, textColumn } from "@bootlace/data"
import type { Artifact, Batch } from "@bootlace/graph"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { ImageEncoder } from "../src/ImageEncoder.ts"
import { rankOf, recallAt } from "../src/metrics/Recall.ts"
import { RerankedRecall } from "../src/RerankedRecall.ts"
import { TextEncoder as TextEncoderOperator } from "../src/TextEncoder.ts"
import { operatorContract } from "./contract.ts"
import { blipOfCase, bytesOfCase, readCase, tensorsOfCase } from "./parityCase.ts"
import { contextOf, failureOf, rowsOf, runFold, runIn } from "./inMemory.ts"
import { images, newModel, onnx, texts } from "./tinyPairs.ts"

operatorContract(RerankedRecall, {
  artifacts: { model: await newModel("blip") },
  layer: onnx,
  badConfigs: [
    { config: { k_test: 0 }, names: /k_test/ },
    { config: { k: 5 }, names: /k/ }
  ]
})

/** The two ports' rows: one batch with the embeddings, one with the images, ids shared. */
const portsOf = async (model: Artifact, pictures: typeof images, sentences: ReadonlyArray<string>) => {
  const all = rowsOf({ image: imageColumn(pictures), text: textColumn(sentences) })
  const embed = (operator: typeof ImageEncoder | typeof TextEncoderOperator, column: string) =>
    Effect.gen(function* () {
      const body = yield* operator.body.open((yield* contextOf(operator, { artifacts: { model } })) as never)
      return floatsOf((yield* body(all)).columns[column]!)
    })
  const at = { layer: onnx }
  const image_embeds = await runIn(at, embed(ImageEncoder, "image_embeds"))
  const text_embeds = await runIn(at, embed(TextEncoderOperator, "text_embeds"))
  const width = image_embeds.length / pictures.length
  const rows = rowsOf({
    image_embeds: tensorColumn(image_embeds, [width]),
    text_embeds: tensorColumn(text_embeds, [width]),
    text: textColumn(sentences)
  })
  return { rows, pictures: rowsOf({ image: imageColumn(pictures) }) }
}

const run = (model: Artifact, config: object, batches: ReadonlyArray<readonly [string, Batch]>, restart?: number) => {
  const given = { config, artifacts: { model }, layer: onnx }
  return runIn(given, runFold(RerankedRecall, given, batches, restart))
}

describe("RerankedRecall, against the scores that PyTorch gave for all pairs", async () => {
  const names = ["exif6_48x70.jpg", "gray_45x31.png", "gray_61x83.jpg", "large_121x183.png"]
  // Rows of the case whose pixels are the same here: alpha and palette are handled in another order.
  const places = [0, 1, 2, 4]
  const sentences = [0, 1, 4, 8].map((index) => readCase("texts.json")[index] as string)
  const columns = [0, 1, 2, 4]
  const expected = await tensorsOfCase("blip_itm/expected_forward.safetensors")
  const cosine = (i: number, j: number): number => expected["itc_score"]![places[i]! * 6 + columns[j]!]!
  const logit = (i: number, j: number): number =>
    expected["itm_logits_all_pairs_enc"]![(places[i]! * 6 + columns[j]!) * 2 + 1]!
  const model = await blipOfCase("blip_itm")
  const ports = await portsOf(
    model,
    names.map((path) => ({ bytes: bytesOfCase(`images/${path}`), path })),
    sentences
  )
  const four = [0, 1, 2, 3]

  /** BLIP's evaluation: -100 everywhere, candidates get ITM's logit plus the similarity they were chosen by. */
  const reference = (k: number, at: (query: number, answer: number) => readonly [number, number]) =>
    four.map((query) => {
      const similarity = four.map((answer) => cosine(...at(query, answer)))
      const chosen = four.toSorted((a, b) => similarity[b]! - similarity[a]!).slice(0, k)
      return four.map((answer) => (chosen.includes(answer) ? logit(...at(query, answer)) + similarity[answer]! : -100))
    })
  const recalls = (scores: ReadonlyArray<ReadonlyArray<number>>, cutoff: number): number =>
    scores.reduce(
      (sum, row, query) =>
        sum +
        recallAt(
          rankOf(row, (answer) => answer === query),
          cutoff
        ),
      0
    ) / 4

  it.each([1, 2, 3, 4])("with %i candidates", async (k_test) => {
    const { metrics, files } = await run(model, { k_test, batch_size: 4 }, [
      ["rows", ports.rows],
      ["image", ports.pictures]
    ])
    const toText = reference(k_test, (image, text) => [image, text])
    const toImage = reference(k_test, (text, image) => [image, text])
    for (const cutoff of [1, 5, 10]) {
      expect(metrics[`image_to_text_r${cutoff}`]).toBeCloseTo(recalls(toText, cutoff), 12)
      expect(metrics[`text_to_image_r${cutoff}`]).toBeCloseTo(recalls(toImage, cutoff), 12)
    }
    expect(metrics["k_test"]).toBe(k_test)
    const ids = rowIdsOf(ports.rows)
    const lines = new TextDecoder().decode(files["examples.jsonl"]).trim().split("\n")
    lines.forEach((line, image) => {
      const { nearest } = JSON.parse(line) as { nearest: ReadonlyArray<{ row_id: string; score: number }> }
      expect(nearest.length).toBe(k_test)
      for (const { row_id, score } of nearest) {
        const text = four.find((row) => rowIdHex(ids, row) === row_id)!
        // JPEG decoders differ by two grey levels.
        const tolerance = names[image]!.endsWith(".png") ? 1e-4 : 5e-2
        expect(Math.abs(score - toText[image]![text]!)).toBeLessThan(tolerance)
      }
    })
  })
})

describe("RerankedRecall", async () => {
  const model = await newModel("blip")
  const { rows, pictures } = await portsOf(model, images.slice(0, 20), texts.slice(0, 20))
  const config = { k_test: 6, batch_size: 8 }
  const cut = (batch: Batch, sizes: ReadonlyArray<number>): ReadonlyArray<Batch> => {
    let at = 0
    return sizes.map((size) => sliceRows(batch, at, (at += size)))
  }
  const batches = (of: ReadonlyArray<number>, pics: ReadonlyArray<number>) => [
    ...cut(rows, of).map((batch) => ["rows", batch] as const),
    ...cut(pictures, pics).map((batch) => ["image", batch] as const)
  ]

  it("gives the same bytes however its rows are cut, and after a restart anywhere", async () => {
    const whole = await run(model, config, batches([20], [20]))
    const pieces = batches([3, 0, 17], [1, 9, 0, 10])
    for (const restart of [undefined, ...pieces.keys()])
      expect(await run(model, config, pieces, restart)).toEqual(whole)
  })

  it("skips images of rows that are not ranked, and names a row whose image is missing or broken", async () => {
    const fail = (some: ReadonlyArray<readonly [string, Batch]>) => {
      const given = { config, artifacts: { model }, layer: onnx }
      return failureOf(given, runFold(RerankedRecall, given, some))
    }
    const ids = rowIdsOf(rows)
    const some = sliceRows(rows, 0, 12)
    const more = await run(model, config, [
      ["rows", some],
      ["image", pictures]
    ])
    expect(more).toEqual(
      await run(model, config, [
        ["rows", some],
        ["image", sliceRows(pictures, 0, 12)]
      ])
    )
    const fewer = String(
      await fail([
        ["rows", rows],
        ["image", sliceRows(pictures, 0, 19)]
      ])
    )
    expect(fewer).toMatch(new RegExp(`R221.*no image came for row ${rowIdHex(ids, 19)}`))
    const broken = rowsOf({ image: imageColumn([images[0]!, { bytes: new Uint8Array(9), path: "x.png" }]) })
    expect(
      String(
        await fail([
          ["rows", rows],
          ["image", broken]
        ])
      )
    ).toMatch(new RegExp(`R221.*image of row ${rowIdHex(ids, 1)}`))
    expect(String(await fail([["image", pictures]]))).toMatch(/R222/)
  })

  it("refuses a model without a match head", async () => {
    const given = { config, artifacts: { model: await newModel("clip") }, layer: onnx }
    expect(String(await failureOf(given, runFold(RerankedRecall, given, [])))).toMatch(/R208.*blip.*got a clip/)
  })
})
