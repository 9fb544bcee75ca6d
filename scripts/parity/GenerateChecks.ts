/** Captions: ids up to the first [SEP], texts, and what nucleus sampling may draw. */
import type { HostTensor, LoadedModel } from "@bootlace/engine"
import { drawWeights, massBefore } from "@bootlace/models"
import { decodeImages, prefillProgram, stepProgram, type DecodingPrograms } from "@bootlace/operators"
import type { BlipConfig, BlipModel, Caption, GenerateOptions, Method, Tokenizer } from "@bootlace/models"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { maxDifference, same, worstOf } from "./Check.ts"
import type { Check } from "./Check.ts"
import { readJson, readTensors } from "./Stored.ts"

interface Setting {
  readonly options: {
    readonly num_beams?: number
    readonly max_length: number
    readonly min_length?: number
    readonly length_penalty?: number
    readonly early_stopping?: boolean
    readonly repetition_penalty?: number
  }
  readonly prompt_ids: ReadonlyArray<number> | null
  readonly ids: ReadonlyArray<ReadonlyArray<number>>
  readonly text?: ReadonlyArray<string>
  /** Where two logits are this close, rounding decides between them. */
  readonly min_top1_top2_margin?: number
}

const programsOf = (model: BlipModel): DecodingPrograms => {
  const weights = Object.keys(model.shapes)
  return {
    prefill: { name: "captioning, the prompt", weights, run: prefillProgram(model) },
    step: { name: "captioning, a token", weights, run: stepProgram(model) }
  }
}

const methodOf = ({ num_beams = 1, length_penalty, early_stopping }: Setting["options"]): Method =>
  num_beams === 1
    ? { method: "greedy" }
    : {
        method: "beam",
        num_beams,
        ...(length_penalty === undefined ? {} : { length_penalty }),
        ...(early_stopping === undefined ? {} : { early_stopping })
      }

const untilEnd = (ids: ReadonlyArray<number>, end: number): string =>
  (ids.includes(end) ? ids.slice(0, ids.indexOf(end) + 1) : ids).join()

const settingChecks = Effect.fnUntraced(function* (
  name: string,
  setting: Setting,
  num_images: number,
  special: { readonly dec: number; readonly end: number },
  run: (options: GenerateOptions) => Effect.Effect<ReadonlyArray<Caption>, unknown>,
  tokenizer: Tokenizer | undefined
) {
  const { max_length, min_length, repetition_penalty } = setting.options
  const captions = yield* run({
    num_images,
    prompt_ids: setting.prompt_ids ?? [special.dec],
    method: methodOf(setting.options),
    max_length,
    ...(min_length === undefined ? {} : { min_length }),
    ...(repetition_penalty === undefined ? {} : { repetition_penalty }),
    end: special.end,
    pad: tokenizer?.pad ?? 0
  })
  const rows = captions.map((caption, row) => ({ caption, row }))
  const close = (setting.min_top1_top2_margin ?? 1) < 1e-4
  const ids = same(`${name} ids`, rows, ({ caption, row }) => {
    const [actual, expected] = [untilEnd(caption.ids, special.end), untilEnd(setting.ids[row]!, special.end)]
    return actual === expected || close ? undefined : `row ${row}: got ${actual}, expected ${expected}`
  })
  const { text } = setting
  if (text === undefined || tokenizer === undefined) return [ids]
  const texts = same(`${name} texts`, rows, ({ caption, row }) => {
    const actual = tokenizer.decode(caption.ids)
    return actual === text[row] || close ? undefined : `row ${row}: got ${JSON.stringify(actual)}`
  })
  return [ids, texts]
})

/** `expected_top_p_09`: 0.9. */
const topPOf = (file: string): number | undefined => {
  const digits = /^expected_top_p_(\d)(\d*)\.safetensors$/.exec(file)
  return digits === null ? undefined : Number(`${digits[1]}.${digits[2]}`)
}

const topPChecks = Effect.fnUntraced(function* (folder: string) {
  const checks: Array<Check> = []
  for (const file of readdirSync(folder)) {
    const top_p = topPOf(file)
    if (top_p === undefined) continue
    const { logits, kept, probs } = (yield* readTensors(join(folder, file)))!
    const [rows, V] = logits!.shape as [number, number]
    const row = ({ data }: HostTensor, i: number) => data.subarray(i * V, (i + 1) * V)
    const drawn = Array.from({ length: rows }, (_, i) => {
      const weights = drawWeights(row(logits!, i) as Float32Array)
      const goal = top_p * massBefore(weights, 0, 0)
      return { weights, ids: [...weights.keys()].filter((id) => massBefore(weights, weights[id]!, id) < goal) }
    })
    const all = drawn.map((_, i) => i)
    checks.push(
      same(`top_p ${top_p} kept set`, all, (i) => {
        const wanted = Array.from(row(kept!, i)).flatMap((flag, id) => (flag === 1 ? [id] : []))
        return drawn[i]!.ids.join() === wanted.join() ? undefined : `row ${i}`
      }),
      yield* worstOf(`top_p ${top_p} probabilities`, all, 1e-5, (i) => {
        const { ids, weights } = drawn[i]!
        const total = ids.reduce((sum, id) => sum + weights[id]!, 0)
        const ours = new Float32Array(V)
        for (const id of ids) ours[id] = weights[id]! / total
        return Effect.succeed(maxDifference(ours, row(probs!, i)))
      })
    )
  }
  return checks
})

export const generateChecks = Effect.fnUntraced(function* (
  model: BlipModel,
  loaded: LoadedModel,
  tokenizer: Tokenizer | undefined,
  folder: string
) {
  const settings = readJson<Readonly<Record<string, Setting>>>(folder, "expected_generate.json") ?? {}
  const pixels = (yield* readTensors(join(folder, "expected_lm.safetensors")))?.["pixel_values"]
  if (pixels === undefined) return []
  const programs = programsOf(model)
  const { image_tokens } = yield* loaded.run(
    { ...programs.prefill, name: "captioning, images", run: (at, { image }) => ({ ...model.encodeImage(at, image!) }) },
    { image: pixels }
  )
  const { bos_token_id: dec, sep_token_id: end } = (model.config as BlipConfig).text_config
  const run = (options: GenerateOptions) =>
    Effect.scoped(Effect.flatMap(loaded.hold, (held) => decodeImages(model, programs, held, image_tokens!, options)))
  const checks: Array<Check> = []
  for (const [name, setting] of Object.entries(settings))
    checks.push(...(yield* settingChecks(name, setting, pixels.shape[0]!, { dec, end }, run, tokenizer)))
  checks.push(...(yield* topPChecks(folder)))
  return checks
})
