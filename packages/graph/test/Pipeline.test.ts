/** The same pipeline in YAML and in TypeScript is the same plan. */
import { Effect, Result } from "effect"
import { describe, expect, it } from "vitest"
import { node, pipeline, type Plan, readPipeline } from "../src/index.ts"
import * as op from "./operators.ts"

const { operators: registry } = op
const read = (text: string): Plan => Effect.runSync(readPipeline(text, { file: "case.yaml", registry }))

const capfilt = `
version: 1
name: capfilt
seed: 17
models:
  blip: { architecture: blip, preset: micro, vocabulary: vocabulary }
matrix:
  seed: [1, 2]
  data:
    none: [web.pairs, human.pairs]
    filter: [web_clean.kept, human.pairs]
nodes:
  web: { op: ReadPairs, path: data/web }
  human: { op: ReadPairs, path: data/human }
  vocabulary: { op: BuildVocabulary, in: { text: [web.text, human.text] } }
  pretrain:
    op: Train
    in: { pairs: [web.pairs, human.pairs] }
    init: blip
    graph:
      image: { op: ImageEncoder, in: { image: pairs.image } }
      text: { op: TextEncoder, in: { text: pairs.text } }
      itc: { op: ITC, in: { image_embeds: image.image_embeds, text_embeds: text.text_embeds }, alpha: 0.4 }
      itm: { op: ITM, in: { image_tokens: image.image_tokens, text: pairs.text, similarity: itc.similarity } }
    minimize: { itc.itc_loss: 1, itm.itm_loss: 0.5 }
    steps: 800
  web_clean: { op: Filter, model: pretrain, in: { image: web.image, text: web.text }, keep: { match_probability: { at_least: 0.5 } } }
  retrain: { op: Train, init: blip, in: { pairs: \${data} }, objectives: [itc, itm], steps: 800 }
  image: { op: ImageEncoder, model: retrain, in: { image: human.image } }
  text: { op: TextEncoder, model: retrain, in: { text: human.text } }
  recall: { op: RetrievalRecall, in: { image_embeds: image.image_embeds, text_embeds: text.text_embeds }, at: [1, 5] }
`

const composed = () => {
  const web = node("web", op.ReadPairs, { path: "data/web" })
  const human = node("human", op.ReadPairs, { path: "data/human" })
  const vocabulary = node("vocabulary", op.BuildVocabulary, { in: { text: [web.text, human.text] } })
  const recalls = [1, 2].flatMap((seed) => {
    const blip = node(`blip[seed=${seed}]`, op.InitModel, { architecture: "blip", preset: "micro", in: { vocabulary } })
    const pretrain = node(`pretrain[seed=${seed}]`, op.Train, {
      init: blip,
      in: { pairs: [web.pairs, human.pairs] },
      steps: 800,
      graph: ({ pairs }, inner) => {
        const image = inner("image", op.ImageEncoder, { in: { image: pairs.image } })
        const text = inner("text", op.TextEncoder, { in: { text: pairs.text } })
        const embeds = { image_embeds: image.image_embeds, text_embeds: text.text_embeds }
        const itc = inner("itc", op.ITC, { alpha: 0.4, in: embeds })
        const { image_tokens } = image
        const itm = inner("itm", op.ITM, { in: { image_tokens, text: pairs.text, similarity: itc.similarity } })
        return [itc.itc_loss, [itm.itm_loss, 0.5]]
      }
    })
    const web_clean = node(`web_clean[seed=${seed}]`, op.Filter, {
      model: pretrain,
      in: { image: web.image, text: web.text },
      keep: { match_probability: { at_least: 0.5 } }
    })
    const data = { none: [web.pairs, human.pairs], filter: [web_clean.kept, human.pairs] }
    return Object.entries(data).map(([id, pairs]) => {
      const at = `[seed=${seed},data=${id}]` as const
      const retrain = node(`retrain${at}`, op.Train, {
        init: blip,
        in: { pairs },
        objectives: ["itc", "itm"],
        steps: 800
      })
      const image = node(`image${at}`, op.ImageEncoder, { model: retrain, in: { image: human.image } })
      const text = node(`text${at}`, op.TextEncoder, { model: retrain, in: { text: human.text } })
      const embeds = { image_embeds: image.image_embeds, text_embeds: text.text_embeds }
      return node(`recall${at}`, op.RetrievalRecall, { at: [1, 5], in: embeds })
    })
  })
  return Effect.runSync(pipeline("capfilt", { seed: 17, registry }, recalls))
}

describe("pipeline", () => {
  it("gives the plan that YAML gives", () => {
    const fromYaml = read(capfilt)
    const fromCode = composed()
    expect(fromCode.nodes.map(({ id }) => id)).toEqual(fromYaml.nodes.map(({ id }) => id))
    expect(fromCode.nodes.map(({ inputs }) => inputs)).toEqual(fromYaml.nodes.map(({ inputs }) => inputs))
    expect(fromCode.hash).toBe(fromYaml.hash)
  })

  it("says everything that the types let through, with the node's name", () => {
    const web = node("web", op.ReadPairs, { path: "data/web" })
    const clip = node("clip", op.InitModel, { architecture: "clip", preset: "micro" })
    const other = node("web", op.ReadPairs, { path: "data/other" })
    const clean = node("clean", op.Filter, {
      model: clip,
      in: { image: web.image, text: web.text },
      keep: { match_probability: { at_least: 0.5 } }
    })
    const vocabulary = node("the vocabulary", op.BuildVocabulary, { in: { text: other.text }, size: 3 })
    const result = Effect.runSync(Effect.result(pipeline("p", { registry }, [clean, vocabulary])))
    expect(Result.isFailure(result) && result.failure.message).toMatchInlineSnapshot(`
      "error[V102] name used twice  node web
          | two nodes have this id

      error[V116] wrong architecture  node clean, in.model
          | ITM takes a model of architecture blip; clip is clip

      error[V118] bad name  node the vocabulary
          | an id is a name, with its place in a matrix behind it: name[axis=value]"
    `)
  })
})
