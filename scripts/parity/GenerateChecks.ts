/** Captions: ids up to the first [SEP], texts, and what nucleus sampling may draw. */
import type { HostTensor, LoadedModel, Program } from "@bootlace/engine"
import { decoding, nucleus } from "@bootlace/models"
import { decodingStep, stepTensors } from "@bootlace/operators"
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

interface Programs {
  readonly look: Program
  readonly step: Program
}

const programsOf = (model: BlipModel): Programs => {
  const weights = Object.keys(model.shapes)
  return {
    look: {
      name: "captioning, images",
      weights,
      run: (at, { pixels }) => ({ ...model.crossCache(at, model.encodeImage(at, pixels!).image_tokens) })
    },
    step: {
      name: "captioning, a token",
      weights,
      run: decodingStep(model)
    }
  }
}

const captionsOf = Effect.fnUntraced(function* (options: GenerateOptions, loaded: LoadedModel, step: Program) {
  const steps = decoding(options)
  let at = steps.next()
  while (at.done !== true) {
    const { logits, keys, values } = yield* loaded.run(step, stepTensors(at.value))
    const floats = (tensor: HostTensor | undefined) => tensor!.data as Float32Array
    at = steps.next({ logits: floats(logits), keys: floats(keys), values: floats(values) })
  }
  return at.value as ReadonlyArray<Caption>
})

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
  seen: Pick<GenerateOptions, "cross_keys" | "cross_values">,
  special: { readonly dec: number; readonly end: number },
  run: (options: GenerateOptions) => Effect.Effect<ReadonlyArray<Caption>, unknown>,
  tokenizer: Tokenizer | undefined
) {
  const { max_length, min_length, repetition_penalty } = setting.options
  const captions = yield* run({
    ...seen,
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
    const drawn = Array.from({ length: rows }, (_, i) =>
      nucleus(row(logits!, i) as Float32Array, { method: "nucleus", top_p })
    )
    const all = drawn.map((_, i) => i)
    checks.push(
      same(`top_p ${top_p} kept set`, all, (i) => {
        const wanted = Array.from(row(kept!, i)).flatMap((flag, id) => (flag === 1 ? [id] : []))
        return drawn[i]!.map(({ id }) => id).join() === wanted.join() ? undefined : `row ${i}`
      }),
      yield* worstOf(`top_p ${top_p} probabilities`, all, 1e-5, (i) => {
        const total = drawn[i]!.reduce((sum, { probability }) => sum + probability, 0)
        const ours = new Float32Array(V)
        for (const { id, probability } of drawn[i]!) ours[id] = probability / total
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
  const { look, step } = programsOf(model)
  const seen = (yield* loaded.run(look, { pixels })) as unknown as Pick<GenerateOptions, "cross_keys" | "cross_values">
  const { bos_token_id: dec, sep_token_id: end } = (model.config as BlipConfig).text_config
  const run = (options: GenerateOptions) => captionsOf(options, loaded, step)
  const checks: Array<Check> = []
  for (const [name, setting] of Object.entries(settings))
    checks.push(...(yield* settingChecks(name, setting, seen, { dec, end }, run, tokenizer)))
  checks.push(...(yield* topPChecks(folder)))
  return checks
})
