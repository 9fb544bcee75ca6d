/**
 * Beam search as transformers does it. Each image keeps its `num_beams` best beginnings; of their 2 * num_beams best
 * continuations, those that end and are among the first half are finished, and the best others run on.
 *
 * A finished row's score is its summed log-probability over its length (behind the prompt) to the power of length_penalty. An
 * image is closed when its best running row, scored as if it ended now, is no better than its worst finished one.
 *
 * Beams move no keys and values about: each remembers in which slots of its image its own past lies.
 */
import { stepInputs, type Beam, type Caption, type Decoding, type GenerateOptions, type Row } from "./Decoding.ts"
import { staying } from "./Leaving.ts"
import { changeLogits } from "./NextToken.ts"

type Options = GenerateOptions<Beam>

interface Running extends Row {
  /** Summed log-probabilities, repetition penalty included: what beams are compared by. */
  readonly score: number
  readonly log_probability: number
}

interface Finished extends Caption {
  readonly score: number
}

/** [k][V] of an image. */
interface BeamLogits {
  readonly logits: ReadonlyArray<Float32Array>
  readonly log_totals: ReadonlyArray<number>
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
    slots: [],
    score: from === 0 ? 0 : -1e9,
    log_probability: 0
  })),
  finished: [],
  open: true
})

/** Each beam has fed its token at `position` and kept it in a slot of its own. */
const fed = (search: Search, position: number, { max_length }: Options): Search => ({
  ...search,
  running: search.running.map((beam, j) => ({ ...beam, slots: [...beam.slots, j * max_length + position] }))
})

/** The best continuations over all beams of an image, best first; ties go to the earlier beam, then the smaller id. */
const continuations = (
  search: Search,
  { logits, log_totals }: BeamLogits,
  options: Options
): ReadonlyArray<Running> => {
  const count = 2 * options.method.num_beams
  const best: Array<{ from: number; id: number; score: number }> = []
  const before = search.running.map((beam, from) => {
    const probabilities = logits[from]!
    const log_total = log_totals[from]!
    for (let id = 0; id < probabilities.length; id++) probabilities[id]! -= log_total
    const changed = changeLogits(probabilities, beam.ids, options)
    for (let id = 0; id < probabilities.length; id++) {
      const score = beam.score + probabilities[id]!
      if (best.length === count && score <= best[count - 1]!.score) continue
      let at = best.length
      while (at > 0 && best[at - 1]!.score < score) at--
      best.splice(at, 0, { from, id, score })
      if (best.length > count) best.pop()
    }
    return changed
  })
  return best.map(({ from, id, score }) => {
    const beam = search.running[from]!
    const log_probability = beam.log_probability + (before[from]!.get(id) ?? logits[from]![id]!)
    return { ids: [...beam.ids, id], slots: beam.slots, score, log_probability }
  })
}

const advance = (search: Search, logits: BeamLogits, options: Options): Search => {
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

/** Closed, or with early_stopping full: what runs on can change nothing. */
const isOpen = ({ open, finished }: Search, { method }: Options): boolean =>
  open && !(method.early_stopping === true && finished.length === method.num_beams)

export function* beamSearch(options: Options): Decoding {
  const { num_images, prompt_ids, max_length, method } = options
  const k = method.num_beams
  const searches: Array<Search> = Array.from({ length: num_images }, () => begin(options))
  let left = [...searches.keys()]
  const isRunning = (image: number): boolean => isOpen(searches[image]!, options)
  for (let position = 0; position < max_length - 1 && left.some(isRunning); position++) {
    const images = staying(left.map(isRunning))
    if (images !== undefined) left = images.map((place) => left[place]!)
    const rows = left.flatMap((image) => searches[image]!.running)
    const { logits, log_totals } = yield stepInputs(options, rows, k, position, images)
    const V = logits.length / rows.length
    left.forEach((image, place) => {
      const search = fed(searches[image]!, position, options)
      const beams = Array.from({ length: k }, (_, j) => place * k + j)
      const at: BeamLogits = {
        logits: beams.map((row) => logits.subarray(row * V, (row + 1) * V)),
        log_totals: beams.map((row) => log_totals[row]!)
      }
      searches[image] = position < prompt_ids.length - 1 ? search : advance(search, at, options)
    })
  }
  return searches.map(({ finished }) => {
    const { ids, ended, log_probability } = finished[0]!
    return { ids, ended, log_probability }
  })
}
