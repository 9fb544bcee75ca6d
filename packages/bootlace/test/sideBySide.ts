import { node, pipeline } from "../src/index.ts"
import {
  BuildVocabulary,
  Filter,
  ImageEncoder,
  InitModel,
  ITC,
  ITM,
  operators,
  ReadPairs,
  TextEncoder,
  Train
} from "../src/operators.ts"

const web = node("web", ReadPairs, { path: "data/web" })
const human = node("human", ReadPairs, { path: "data/human" })
const vocabulary = node("vocabulary", BuildVocabulary, { in: { text: [web.text, human.text] } })
const blip = node("blip", InitModel, { architecture: "blip", preset: "micro", in: { vocabulary } })

const filter = node("filter", Train, {
  init: blip,
  in: { pairs: human.pairs },
  objectives: ["itc", "itm"],
  steps: 200
})

const image = node("image", ImageEncoder, { model: filter, in: { image: web.image } })
const itm = node("itm", ITM, { model: filter, in: { image_tokens: image.image_tokens, text: web.text } })

const clean = node("clean", Filter, {
  in: { image: web.image, text: web.text, match_probability: itm.match_probability },
  keep: { match_probability: { at_least: 0.5 } }
})

const retrain = node("retrain", Train, {
  init: blip,
  in: { pairs: [clean.kept, human.pairs] },
  steps: 800,
  graph: ({ pairs }, inner) => {
    const image = inner("image", ImageEncoder, { in: { image: pairs.image } })
    const text = inner("text", TextEncoder, { in: { text: pairs.text } })
    const itc = inner("itc", ITC, { in: { image_embeds: image.image_embeds, text_embeds: text.text_embeds } })
    const itm = inner("itm", ITM, {
      in: { image_tokens: image.image_tokens, text: pairs.text, similarity: itc.similarity }
    })
    return [itc.itc_loss, itm.itm_loss]
  }
})

export const plan = pipeline("clean-and-retrain", { seed: 17, registry: operators }, [retrain])
