/**
 * What the rows of docs/reliability.md share: a seed, a scale and a line with the figure.
 *
 *   npm run torture -- --seed S --kills N    the same tests with another seed and N / 50 times the work
 */
import { randomKey, uniformAt } from "@bootlace/models"

const setting = (name: string, usual: number): number => {
  const value = Number(process.env[name] ?? usual)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} must be a whole number from 1 up`)
  return value
}

export const seed = setting("BOOTLACE_TORTURE_SEED", 1)
export const kills = setting("BOOTLACE_TORTURE_KILLS", 50)
const scale = kills / 50

/** How often, where `usual` is enough for every push. */
export const times = (usual: number): number => Math.max(1, Math.round(usual * scale))

const isTorture = process.env["BOOTLACE_TORTURE_KILLS"] !== undefined

/** How often, where every push has time for `usual` only and `npm run torture` does it `full` times, or more. */
export const atLength = (usual: number, full: number): number => (isTorture ? times(full) : usual)

/** Milliseconds that a test may take. */
export const patience = (usual: number): number => usual * Math.max(1, scale)

/** Numbers from 0 up to 1, the same for the same seed and place. */
export const chances = (...place: ReadonlyArray<string | number>): (() => number) => {
  const key = randomKey(seed, ...place)
  let drawn = 0
  return () => uniformAt(key, drawn++)
}

/** The figure of a row, where a person running the tests sees it. */
export const figure = (row: string, text: string): void => {
  process.stdout.write(`${row}  seed ${seed}: ${text}\n`)
}
