/** A node on its way to the plan: spelled, one for each variant of the matrix it stands in, not yet checked. */
import { type Span, within } from "../Diagnostic.ts"
import type { NodeSpec } from "../NodeSpec.ts"

/** In words, `node filter, in.image`, and in the text where there is one. */
export interface Where {
  readonly at: string
  readonly span?: Span
}

/** Where a part of a node stands: `["in", "image"]`, `["steps"]`; with "key" the key itself. */
export type Place = (path: ReadonlyArray<PropertyKey>, part?: "key") => Where

export interface Draft {
  readonly id: string
  readonly spec: NodeSpec
  readonly place: Place
}

export type Axes = Readonly<Record<string, string>>

/** `retrain[data=both,seed=1]`: axes in declared order. */
export const variantId = (name: string, axes: Axes): string => {
  const parts = Object.entries(axes).map(([axis, value]) => `${axis}=${value}`)
  return parts.length === 0 ? name : `${name}[${parts.join(",")}]`
}

/** Of params, axes, models, nodes of a training graph, and further inputs. Nodes may also carry a path and a variant. */
export const namePattern = /^[A-Za-z_][\w-]{0,63}$/
export const nameRule = "a name is a letter, then letters, digits, _ and -, at most 64"

const idPattern = /^([A-Za-z_][\w-]*(?:\/[\w-]+)*)(?:\[([\w-]+=[\w.+-]+(?:,[\w-]+=[\w.+-]+)*)\])?$/

/** An id's name and its place in the matrix; undefined where it is no id. */
export const parseId = (id: string): { readonly name: string; readonly axes: Axes } | undefined => {
  const match = idPattern.exec(id)
  if (match === null || id.length > 200) return undefined
  const axes = (match[2]?.split(",") ?? []).map((pair) => pair.split("=") as [string, string])
  return { name: match[1]!, axes: Object.fromEntries(axes) }
}

/** The part of a place that holds `length` letters from `offset` on. */
export const part = ({ at, span }: Where, offset: number, length: number): Where =>
  span === undefined ? { at } : { at, span: within(span, offset, length) }

/** The words of a place; nodes made in code have no other. */
export const wordsFor = (id: string, path: ReadonlyArray<PropertyKey>): string =>
  [`node ${id}`, ...(path.length === 0 ? [] : [path.map(String).join(".")])].join(", ")
