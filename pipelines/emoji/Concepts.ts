/**
 * The emoji set as image-text data: drawings, their names, and the concepts that may not leak between splits.
 *
 * A concept is a base emoji with its skin-tone, gender and direction variants: `man rowing boat: dark skin tone` and
 * `person rowing boat` are two drawings of one concept, and a concept is wholly in one split. Splits hang on a hash of the
 * concept alone, so that no seed and no setting ever moves a concept between training and test.
 */
import { createHash } from "node:crypto"

export type Role = "human" | "train" | "dev" | "test"

/** Shares of the concepts. The test has over 500 concepts, so that classifying it is no toy. */
const shares: ReadonlyArray<readonly [Role, number]> = [
  ["human", 0.33],
  ["train", 0.09],
  ["dev", 0.16],
  ["test", 0.42]
]

export interface Drawing {
  /** Code points in lower-case hex: the file's name without `.png`, equal for all vendors. */
  readonly file: string
  /** `man rowing boat: dark skin tone` */
  readonly name: string
  readonly tags: ReadonlyArray<string>
}

export interface Concept {
  /** Code points of the variant without tone, gender and direction, e.g. `1F6A3`. */
  readonly id: string
  /** The plainest name among its drawings, e.g. `person rowing boat`. */
  readonly name: string
  readonly role: Role
  /** In Unicode's order. */
  readonly drawings: ReadonlyArray<Drawing>
}

/** What is read of emoji-datasource's emoji.json and of emojibase-data's data.json. */
export interface Pictured {
  readonly unified: string
  readonly image: string
  readonly skin_variations?: Readonly<Record<string, Pictured>>
}
export interface Named {
  readonly hexcode: string
  readonly label: string
  readonly tags?: ReadonlyArray<string>
  readonly group?: number
  readonly subgroup?: number
  readonly skins?: ReadonlyArray<Named>
}

const flagGroup = 9
const keycapSubgroup = 94

/** Variants that Unicode spells with a character of their own, and the concept they belong to. */
const ownCharacter: Readonly<Record<string, string>> = {
  "1F474": "1F9D3", // old man, old woman: older person
  "1F475": "1F9D3",
  "1F934": "1FAC5", // prince, princess: person with crown
  "1F478": "1FAC5",
  "1F936": "1F385", // Mrs. and Mx Claus: Santa Claus
  "1F9D1-200D-1F384": "1F385",
  "1F57A": "1F483", // dancing
  "1FAC3": "1F930", // pregnant
  "1FAC4": "1F930",
  "1F46B": "1F9D1-200D-1F91D-200D-1F9D1", // holding hands
  "1F46C": "1F9D1-200D-1F91D-200D-1F9D1",
  "1F46D": "1F9D1-200D-1F91D-200D-1F9D1",
  "1F9D1-200D-2764-200D-1F48B-200D-1F9D1": "1F48F", // kiss
  "1F9D1-200D-2764-200D-1F9D1": "1F491", // couple with heart
  "1FAF1-200D-1FAF2": "1F91D", // handshake of two tones
  "1F9D1-200D-1F9D1-200D-1F9D2": "1F46A", // families
  "1F9D1-200D-1F9D1-200D-1F9D2-200D-1F9D2": "1F46A",
  "1F9D1-200D-1F9D2": "1F46A",
  "1F9D1-200D-1F9D2-200D-1F9D2": "1F46A"
}

/** Drops what only makes a variant: presentation, tone, gender sign, direction; man and woman become adult, boy and girl child. */
export const conceptOf = (hexcode: string): string => {
  const plain = hexcode
    .split("-")
    .filter((point) => !/^(?:FE0F|1F3F[B-F])$/.test(point))
    .join("-")
    .replace(/-200D-(?:2640|2642|27A1)/g, "")
    .replace(/1F46[89]/g, "1F9D1")
    .replace(/1F46[67]/g, "1F9D2")
  return ownCharacter[plain] ?? plain
}

/** Eight numbers in [0, 1) that hang on the key alone, on every machine. */
export const draws = (...key: ReadonlyArray<string | number>): ReadonlyArray<number> => {
  const digest = createHash("sha256").update(key.join("\0")).digest()
  return Array.from({ length: 8 }, (_, i) => digest.readUInt32LE(4 * i) / 2 ** 32)
}

/** Flags and keycaps are almost the same picture at every vendor: they are never evaluated. */
const roleOf = (concept: string, evaluated: boolean): Role => {
  const drawn = draws("role", concept)[0]!
  let reached = 0
  for (const [role, share] of shares) {
    reached += share
    if (drawn < reached) return role === "human" || evaluated ? role : "train"
  }
  return "test"
}

const withoutPresentation = (hexcode: string): string => hexcode.replaceAll("-FE0F", "")

/** The plainest name: of the drawing that is the concept itself, else the shortest. */
const plainestName = (id: string, drawings: ReadonlyArray<Drawing>): string => {
  const itself = drawings.find((each) => withoutPresentation(each.file.toUpperCase()) === id)
  return itself?.name ?? drawings.reduce((a, b) => (b.name.length < a.name.length ? b : a)).name
}

/** All concepts that have a drawing and a name, in an order that hangs on their hash. */
export const concepts = (pictured: ReadonlyArray<Pictured>, named: ReadonlyArray<Named>): ReadonlyArray<Concept> => {
  const files = new Map<string, string>()
  for (const each of pictured.flatMap((one) => [one, ...Object.values(one.skin_variations ?? {})]))
    files.set(withoutPresentation(each.unified), each.image.replace(/\.png$/, ""))
  const grouped = new Map<string, { evaluated: boolean; drawings: Array<Drawing> }>()
  for (const base of named)
    for (const each of [base, ...(base.skins ?? [])]) {
      const file = files.get(withoutPresentation(each.hexcode))
      if (file === undefined || base.group === undefined) continue
      const id = conceptOf(each.hexcode)
      const evaluated = base.group !== flagGroup && base.subgroup !== keycapSubgroup
      const group = grouped.get(id) ?? { evaluated, drawings: [] }
      group.drawings.push({ file, name: each.label, tags: base.tags ?? [] })
      grouped.set(id, group)
    }
  return [...grouped]
    .map(([id, { evaluated, drawings }]) => ({
      id,
      name: plainestName(id, drawings),
      role: roleOf(id, evaluated),
      drawings
    }))
    .sort((a, b) => draws("order", a.id)[0]! - draws("order", b.id)[0]!)
}
