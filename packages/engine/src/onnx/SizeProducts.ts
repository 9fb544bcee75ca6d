/** Integers as formulas of free sizes: found by trying products, believed where they hold at every size that was looked at. */

/** Free sizes by name. */
export type Sizes = Readonly<Record<string, number>>

/** c times a product of free sizes, each as often as it stands there. */
export interface Product {
  readonly factor: number
  readonly sizes: ReadonlyArray<string>
}

/** Products of up to three free sizes, shortest first. */
const products = (names: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const longer = (shorter: ReadonlyArray<ReadonlyArray<string>>) =>
    shorter.flatMap((product) =>
      names.slice(product.length === 0 ? 0 : names.indexOf(product.at(-1)!)).map((name) => [...product, name])
    )
  const one = longer([[]])
  const two = longer(one)
  return [[], ...one, ...two, ...longer(two)]
}

/** The shortest product that gives each of these numbers at its sizes; undefined where none does. */
export const productOf = (numbers: ReadonlyArray<number>, probes: ReadonlyArray<Sizes>): Product | undefined => {
  for (const sizes of products(Object.keys(probes[0]!))) {
    const at = (probe: Sizes): number => sizes.reduce((product, name) => product * probe[name]!, 1)
    const factor = numbers[0]! / at(probes[0]!)
    if (Number.isInteger(factor) && numbers.every((number, i) => number === factor * at(probes[i]!)))
      return { factor, sizes }
  }
  return undefined
}
