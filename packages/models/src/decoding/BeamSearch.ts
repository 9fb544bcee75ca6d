/**
 * Beam search as transformers does it. Each image keeps its `num_beams` best beginnings; of their 2 * num_beams best
 * continuations, those that end and are among the first half are finished, and the best others run on.
 *
 * A finished row's score is its summed log-probability over its length (behind the prompt) to the power of length_penalty. An
 * image is closed when its best running row, scored as if it ended now, is no better than its worst finished one.
 */
import { stepInputs, type Beam, type Caption, type Decoding, type GenerateOptions } from "./Decoding.ts"
import { continueFrom, openCache, writePosition } from "./HostCache.ts"
import { changeLogits, logProbabilities } from "./NextToken.ts"

type Options = GenerateOptions<Beam>

interface Running {
  readonly ids: ReadonlyArray<number>
  /** Summed log-probabilities, repetition penalty included: what beams are compared by. */
  readonly score: number
  readonly log_probability: number
  /** Which beam of the image it goes on from. */
  readonly from: number
}

interface Finished extends Caption {
  readonly score: number
}

interface Search {
  readonly running: ReadonlyArray<Running>
  /** The best first, at most num_beams. */
  readonly finished: ReadonlyArray<Finished>
  readonly open: boolean
}

const begin = ({ method, prompt_ids }: Options): Search => ({
  // All beams begin alike; only the first counts, or all would stay alike.
  running: Array.from({ length: method.num_beams }, (_, from) => ({
    ids: prompt_ids,
    score: from === 0 ? 0 : -1e9,
    log_probability: 0,
    from
  })),
  finished: [],
  open: true
})

/** The best continuations over all beams of an image, best first; ties go to the earlier beam, then the smaller id. */
const continuations = (
  search: Search,
  logits: ReadonlyArray<Float32Array>,
  options: Options
): ReadonlyArray<Running> => {
  const count = 2 * options.method.num_beams
  const best: Array<{ from: number; id: number; score: number }> = []
  const untouched = logits.map(logProbabilities)
  search.running.forEach((beam, from) => {
    const changed = changeLogits(untouched[from]!, beam.ids, options)
    for (let id = 0; id < changed.length; id++) {
      const score = beam.score + changed[id]!
      if (best.length === count && score <= best[count - 1]!.score) continue
      let at = best.length
      while (at > 0 && best[at - 1]!.score < score) at--
      best.splice(at, 0, { from, id, score })
      if (best.length > count) best.pop()
    }
  })
  return best.map(({ from, id, score }) => {
    const beam = search.running[from]!
    const log_probability = beam.log_probability + untouched[from]![id]!
    return { ids: [...beam.ids, id], score, log_probability, from }
  })
}

const advance = (search: Search, logits: ReadonlyArray<Float32Array>, options: Options): Search => {
  const { num_beams, length_penalty = 1, early_stopping = false } = options.method
  const candidates = continuations(search, logits, options)
  const length = candidates[0]!.ids.length
  const scale = (length - options.prompt_ids.length) ** length_penalty
  const ends = ({ ids }: Running): boolean => ids.at(-1) === options.end || length === options.max_length
  const full = early_stopping && search.finished.length === num_beams
  const ending = search.open && !full ? candidates.slice(0, num_beams).filter(ends) : []
  const finished = [
    ...search.finished,
    ...ending.map(({ ids, score, log_probability }) => ({
      ids,
      ended: ids.at(-1) === options.end,
      log_probability,
      score: score / scale
    }))
  ]
    .sort((a, b) => b.score - a.score)
    .slice(0, num_beams)
  const running = [...candidates.filter((each) => !ends(each)), ...candidates.filter(ends)].slice(0, num_beams)
  const improvable = finished.length < num_beams || running[0]!.score / scale > finished.at(-1)!.score
  return { running, finished, open: search.open && improvable }
}

const isDone = (searches: ReadonlyArray<Search>, { method }: Options): boolean =>
  searches.every(({ open }) => !open) ||
  (method.early_stopping === true && searches.every(({ finished }) => finished.length === method.num_beams))

export function* beamSearch(options: Options): Decoding {
  const k = options.method.num_beams
  let cache = openCache(options, options.max_length, k)
  let searches: ReadonlyArray<Search> = Array.from({ length: options.cross_keys.shape[1]! }, () => begin(options))
  for (let position = 0; position < options.max_length - 1 && !isDone(searches, options); position++) {
    const rows = searches.flatMap(({ running }) => running)
    const { logits, keys, values } = yield stepInputs(options, rows, cache, position)
    writePosition(cache.self_keys, keys, position)
    writePosition(cache.self_values, values, position)
    if (position < options.prompt_ids.length - 1) continue
    const V = logits.length / rows.length
    const rowLogits = rows.map((_, row) => logits.subarray(row * V, (row + 1) * V))
    searches = searches.map((search, i) => advance(search, rowLogits.slice(i * k, (i + 1) * k), options))
    const sources = searches.flatMap(({ running }, i) => running.map(({ from }) => i * k + from))
    cache = continueFrom(cache, sources)
  }
  return searches.map(({ finished }) => {
    const { ids, ended, log_probability } = finished[0]!
    return { ids, ended, log_probability }
  })
}
