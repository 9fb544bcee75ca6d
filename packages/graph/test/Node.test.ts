/** Wrong wires don't compile: every `@ts-expect-error` here is checked with the tests' types. */
import { describe, expect, expectTypeOf, it } from "vitest"
import { type ArtifactWire, column, type ColumnWire, node, type StreamWire } from "../src/index.ts"
import * as op from "./operators.ts"

const web = node("web", op.ReadPairs, { path: "web" })
const human = node("human", op.ReadPairs, { path: "human" })
const vocabulary = node("vocabulary", op.BuildVocabulary, { in: { text: [web.text, human.text] } })
const blip = node("blip", op.InitModel, { architecture: "blip", preset: "micro", in: { vocabulary } })
const clip = node("clip", op.InitModel, { architecture: "clip", preset: "micro" })
const image = node("image", op.ImageEncoder, { model: blip, in: { image: web.image } })

describe("the types of what nodes give", () => {
  it("sources give their ports, and the columns of an only port", () => {
    expectTypeOf(web.pairs).toExtend<StreamWire<{ readonly image: "image"; readonly text: "text" }, "web.pairs">>()
    expectTypeOf(web.image).toEqualTypeOf<ColumnWire<"image", "web.pairs">>()
    expectTypeOf(web.pairs.text).toEqualTypeOf<ColumnWire<"text", "web.pairs">>()
  })

  it("maps give columns of the row set that they read", () => {
    expectTypeOf(image.image_embeds).toEqualTypeOf<ColumnWire<"embedding", "web.pairs">>()
    expectTypeOf(image.image_tokens).toEqualTypeOf<ColumnWire<"image_tokens", "web.pairs">>()
  })

  it("routes and expands start row sets with the columns wired to them", () => {
    const clean = node("clean", op.Filter, { in: { image: web.image, note: web.text }, keep: {} })
    expectTypeOf(clean.kept.note).toEqualTypeOf<ColumnWire<"text", "clean.kept">>()
    expectTypeOf(clean.rejected.image).toEqualTypeOf<ColumnWire<"image", "clean.rejected">>()
    const captions = node("captions", op.Captioner, { model: blip, in: { image: web.image } })
    expectTypeOf(captions.caption).toEqualTypeOf<ColumnWire<"text", "captions.rows">>()
    expectTypeOf(captions.rows.image).toEqualTypeOf<ColumnWire<"image", "captions.rows">>()
    expect(Object.keys(clean)).toEqual(["kept", "rejected"])
  })

  it("a union has the columns common to its streams", () => {
    const captions = node("captions", op.Captioner, { model: blip, in: { image: web.image } })
    const all = node("all", op.Union, { in: { rows: [web, captions] } })
    expectTypeOf(all.image).toEqualTypeOf<ColumnWire<"image", "all.rows">>()
    expect(Object.keys(all.rows)).toEqual(["image"])
    // @ts-expect-error captions has no column text
    expect(all.text).toBeUndefined()
  })

  it("a model keeps its architecture through training", () => {
    const trained = node("trained", op.Train, { init: clip, in: { pairs: web }, objectives: ["itc"], steps: 1 })
    expectTypeOf(blip.model).toEqualTypeOf<ArtifactWire<"model", "blip">>()
    expectTypeOf(trained.model).toEqualTypeOf<ArtifactWire<"model", "clip">>()
    // @ts-expect-error Captioner takes a blip model
    node("captions", op.Captioner, { model: trained, in: { image: web.image } })
  })

  it("a column that the type doesn't know can be named", () => {
    const scored = node("scored", op.Filter, { model: blip, in: { image: web.image, text: web.text }, keep: {} })
    const score = column(scored.kept, "match_probability", "score")
    expectTypeOf(score).toEqualTypeOf<ColumnWire<"score", "scored.kept">>()
  })
})

describe("what doesn't compile", () => {
  it("a column of the wrong type", () => {
    // @ts-expect-error a text column for an image
    node("enc", op.ImageEncoder, { model: blip, in: { image: web.text } })
    // @ts-expect-error rows for an image
    node("enc", op.ImageEncoder, { model: blip, in: { image: web } })
    // @ts-expect-error a column for rows
    node("trained", op.Train, { init: blip, in: { pairs: web.text }, steps: 1 })
  })

  it("rows without the columns that are needed", () => {
    const images = node("images", op.Filter, { in: { image: web.image }, keep: {} })
    // @ts-expect-error no column text
    node("trained", op.Train, { init: blip, in: { pairs: [web, images.kept] }, steps: 1 })
  })

  it("columns of two row sets in one node", () => {
    // @ts-expect-error web.pairs and human.pairs
    node("clean", op.Filter, { in: { image: web.image, text: human.text }, keep: {} })
    // @ts-expect-error web.pairs and human.pairs
    node("itm", op.ITM, { model: blip, in: { image_tokens: image.image_tokens, text: human.text } })
    node("itm", op.ITM, { model: blip, in: { image_tokens: image.image_tokens, text: web.text } })
  })

  it("an artifact of the wrong type", () => {
    // @ts-expect-error a vocabulary for a model
    node("enc", op.ImageEncoder, { model: vocabulary, in: { image: web.image } })
    // @ts-expect-error a model for a vocabulary
    node("blip", op.InitModel, { architecture: "blip", preset: "micro", in: { vocabulary: clip } })
    // @ts-expect-error ITM takes a blip model
    node("itm", op.ITM, { model: clip, in: { image_tokens: image.image_tokens, text: web.text } })
  })

  it("a missing input", () => {
    // @ts-expect-error no text
    node("itm", op.ITM, { model: blip, in: { image_tokens: image.image_tokens } })
    // @ts-expect-error no model
    node("enc", op.ImageEncoder, { in: { image: web.image } })
    // @ts-expect-error no init
    node("trained", op.Train, { in: { pairs: web }, steps: 1 })
    // @ts-expect-error no inputs at all
    node("vocabulary", op.BuildVocabulary, {})
  })

  it("an unknown input", () => {
    // @ts-expect-error images
    node("enc", op.ImageEncoder, { model: blip, in: { image: web.image, images: web.image } })
    // @ts-expect-error ReadPairs has no inputs
    node("more", op.ReadPairs, { path: "more", in: { text: web.text } })
    // @ts-expect-error ITC takes no model
    node("itc", op.ITC, { model: blip, in: { image_embeds: image.image_embeds, text_embeds: image.image_embeds } })
  })

  it("an unknown or missing config key, or a wrong value", () => {
    // @ts-expect-error normalise
    node("enc", op.ImageEncoder, { normalise: true, model: blip, in: { image: web.image } })
    // @ts-expect-error path is missing
    node("more", op.ReadPairs, {})
    // @ts-expect-error path is a text
    node("more", op.ReadPairs, { path: 3 })
    // @ts-expect-error no such objective
    node("trained", op.Train, { init: blip, in: { pairs: web }, objectives: ["itk"], steps: 1 })
    // @ts-expect-error graph belongs to Train
    node("enc", op.ImageEncoder, { graph: () => [], model: blip, in: { image: web.image } })
  })

  it("a port or column that doesn't exist", () => {
    const clean = node("clean", op.Filter, { in: { image: web.image }, keep: {} })
    // @ts-expect-error Filter has no port keept
    expect(clean.keept).toBeUndefined()
    // @ts-expect-error text wasn't wired
    expect(clean.kept.text).toBeUndefined()
    // @ts-expect-error with two ports a column needs its port
    expect(clean.image).toBeUndefined()
    // @ts-expect-error no such column
    expect(web.imgae).toBeUndefined()
  })

  it("a wrong training graph", () => {
    node("trained", op.Train, {
      init: blip,
      in: { pairs: web },
      steps: 1,
      graph: ({ pairs }, inner) => {
        const tokens = inner("image", op.ImageEncoder, { in: { image: pairs.image } })
        // @ts-expect-error a text for an image
        inner("image", op.ImageEncoder, { in: { image: pairs.text } })
        // @ts-expect-error text is missing
        inner("itm", op.ITM, { in: { image_tokens: tokens.image_tokens } })
        const itm = inner("itm", op.ITM, { in: { image_tokens: tokens.image_tokens, text: pairs.text } })
        // @ts-expect-error outside Train only
        expect(itm.match_probability).toBeUndefined()
        // @ts-expect-error no such key
        inner("itm", op.ITM, { negative: "hard", in: { image_tokens: tokens.image_tokens, text: pairs.text } })
        return [itm.itm_loss]
      }
    })
    // @ts-expect-error embeddings are no losses
    node("trained", op.Train, { init: blip, in: { pairs: web }, steps: 1, graph: ({ pairs }) => [pairs.image] })
  })
})
