/**
 * Positions that a caller gives, and how many rows they pick from. The processor's kernels refuse one that is out of range; a device reads something
 * else there and says nothing, so it has to be known before.
 */
import type { Graph, Value } from "../Graph.ts"
import type { HostTensors } from "../Program.ts"

/** By the name of an int32 input: its positions are -count to count - 1. */
export type PositionBounds = Readonly<Record<string, number>>

/** Operations that change no number, or leave some out. */
const transparent = new Set(["Reshape", "Expand", "Transpose", "Slice", "Tile", "Gather"])

/** The input that a value's numbers are from. */
function inputOf(value: Value): string | undefined {
  if (value.op === "Input") return value.attributes.name as string
  return transparent.has(value.op) ? inputOf(value.inputs[0]!) : undefined
}

/** The positions that a value picks by, and the number of rows there are. */
function picks({ op, inputs, shape, attributes }: Value): readonly [Value, number] | undefined {
  const [x, positions] = inputs
  if (op === "Gather" || op === "GatherElements") return [positions!, x!.shape[attributes.axis as number]!]
  return op === "ScatterAdd" ? [positions!, shape[0]!] : undefined
}

export function positionBounds({ values }: Graph): PositionBounds {
  const bounds: Record<string, number> = {}
  for (const value of values) {
    const [positions, count] = picks(value) ?? []
    const input = positions === undefined ? undefined : inputOf(positions)
    if (input !== undefined) bounds[input] = Math.min(count!, bounds[input] ?? Infinity)
  }
  return bounds
}

export function checkPositions(bounds: PositionBounds, inputs: HostTensors): void {
  for (const [name, count] of Object.entries(bounds)) {
    const bad = inputs[name]?.data.find((position) => position < -count || position >= count)
    if (bad !== undefined)
      throw new Error(
        `input ${name.slice(name.indexOf(":") + 1)}: ${bad} is out of data bounds [${-count},${count - 1}]`
      )
  }
}
