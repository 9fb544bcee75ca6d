/**
 * Beam search as transformers does it. Each image keeps its `num_beams` best beginnings; of their 2 * num_beams best
 * continuations, those that end and are among the first half are finished, and the best others run on.
 *
 * A finished row's score is its summed log-probability over its length (behind the prompt) to the power of length_penalty. An
 * image is closed when its best running row, scored as if it ended now, is no better than its worst finished one.
 *
 * Beams move no keys and values about: each remembers in which slots of its image its own past lies.
 */
import { logitsOf, promptSlots, rowOf, stepInputs } from "./Decoding.ts"
import type { Beam, Caption, Decoding, GenerateOptions, Row, StepOutputs } from "./Decoding.ts"
import { staying } from "./Leaving.ts"
import { allowed, highest, insert, type Following } from "./NextToken.ts"

type Options = GenerateOptions<Beam>

interface Running extends Row {
  /** Summed log-probabilities, repetition penalty included: what beams are compared by. */
  readonly score: number
  readonly log_probability: number
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

const begin = (options: Options): Search => ({
  // All beams begin alike; only the first counts, or all would stay alike.
  running: Array.from({ length: options.method.num_beams }, (_, from) => ({
    ids: options.prompt_ids,
    slots: promptSlots(options),
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

/** The likeliest tokens of a row, as beams compare them: log-probabilities, changed. */
const followingOf = (
  outputs: StepOutputs,
  place: number,
  num_rows: number,
  ids: ReadonlyArray<number>,
  options: Options
) => {
  const count = 2 * options.method.num_beams
  if ("ids" in outputs) return allowed(rowOf(outputs, place, num_rows), ids, options).slice(0, count)
  const { logits, log_total } = logitsOf(outputs, place, num_rows)
  for (let id = 0; id < logits.length; id++) logits[id]! -= log_total
  return highest(logits, ids, options, count)
}

/** The best continuations over all beams of an image, best first; ties go to the earlier beam, then the smaller id. */
const continuations = (
  search: Search,
  following: ReadonlyArray<ReadonlyArray<Following>>,
  count: number
): ReadonlyArray<Running> => {
  const best: Array<Following & { readonly from: number }> = []
  search.running.forEach((beam, from) => {
    for (const next of following[from]!) insert(best, { ...next, from, score: beam.score + next.score }, count)
  })
  return best.map(({ from, id, score, log_probability }) => {
    const beam = search.running[from]!
    const sum = beam.log_probability + log_probability
    return { ids: [...beam.ids, id], slots: beam.slots, score, log_probability: sum }
  })
}

const advance = (search: Search, following: ReadonlyArray<ReadonlyArray<Following>>, options: Options): Search => {
  const { num_beams, length_penalty = 1, early_stopping = false } = options.method
  const candidates = continuations(search, following, 2 * num_beams)
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

/** An image's beams one token behind the prompt, whose one row speaks for all of them. */
const afterPrompt = (first: StepOutputs, image: number, options: Options): Search => {
  const search = begin(options)
  const following = followingOf(first, image, options.num_images, options.prompt_ids, options)
  return advance(
    search,
    search.running.map(() => following),
    options
  )
}

/** Closed, or with early_stopping full: what runs on can change nothing. */
const isOpen = ({ open, finished }: Search, { method }: Options): boolean =>
  open && !(method.early_stopping === true && finished.length === method.num_beams)

export function* beamSearch(options: Options, first: StepOutputs): Decoding {
  const { num_images, prompt_ids, max_length, method } = options
  const k = method.num_beams
  const searches: Array<Search> = Array.from({ length: num_images }, (_, image) => afterPrompt(first, image, options))
  let left = [...searches.keys()]
  const isRunning = (image: number): boolean => isOpen(searches[image]!, options)
  for (let position = prompt_ids.length; position < max_length - 1 && left.some(isRunning); position++) {
    const images = staying(left.map(isRunning))
    if (images !== undefined) left = images.map((place) => left[place]!)
    const rows = left.flatMap((image) => searches[image]!.running)
    const outputs = yield stepInputs(options, rows, k, position, images)
    left.forEach((image, place) => {
      const search = fed(searches[image]!, position, options)
      const following = search.running.map(({ ids }, j) =>
        followingOf(outputs, place * k + j, rows.length, ids, options)
      )
      searches[image] = advance(search, following, options)
    })
  }
  return searches.map(({ finished }) => {
    const { ids, ended, log_probability } = finished[0]!
    return { ids, ended, log_probability }
  })
}
