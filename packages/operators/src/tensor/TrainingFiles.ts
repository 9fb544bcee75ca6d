/**
 * A training's checkpoint as files: training.safetensors (`part/name` for every tensor) and history.json.
 *
 * The parts are those of the engine's TrainingSnapshot; floats are stored as they are, so a resumed training gives the bytes
 * of an undisturbed one.
 */
import { firstNonFinite } from "@bootlace/engine"
import type { HostTensors, TrainingSnapshot } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"
import type { Files, Metrics } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { decodeTensors, encodeTensors } from "./TensorFile.ts"

const parts = ["weights", "exp_avg", "exp_avg_sq", "twin", "state", "ema"] as const
type Part = (typeof parts)[number]

/** One entry a step, `step` from 0, in the order of the steps. */
export type History = Array<Metrics>

const tensorFile = "training.safetensors"
const historyFile = "history.json"

/** What the engine refuses in a checkpoint: tensors of other names or shapes than the training's. */
export const unfit = (error: NodeError): NodeError =>
  error.code === "R502"
    ? new NodeError({
        code: "R402",
        node: error.node,
        detail: `${tensorFile} doesn't fit this training: ${error.detail}`
      })
    : error

/** A line a step, so that histories compare well. */
export const encodeHistory = (history: History): Uint8Array =>
  new TextEncoder().encode(`[\n${history.map((entry) => JSON.stringify(entry)).join(",\n")}\n]\n`)

export const encodeCheckpoint = (snapshot: TrainingSnapshot, history: History): Files => {
  const tensors: Record<string, HostTensors[string]> = {}
  for (const part of parts) {
    for (const [name, tensor] of Object.entries(snapshot[part])) tensors[`${part}/${name}`] = tensor
  }
  return { [tensorFile]: encodeTensors(tensors), [historyFile]: encodeHistory(history) }
}

const partOf = (tensors: HostTensors, part: Part): HostTensors =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(`${part}/`))
      .map(([name, tensor]) => [name.slice(part.length + 1), tensor])
  )

/** Fails with R402 on files that `encodeCheckpoint` didn't write, and on numbers that no training goes on from. */
export const decodeCheckpoint = (node: string, files: Files) =>
  Effect.try({
    try: () => {
      const [tensorBytes, historyBytes] = [files[tensorFile], files[historyFile]]
      if (tensorBytes === undefined || historyBytes === undefined) {
        throw new Error(`expected ${tensorFile} and ${historyFile}, got ${Object.keys(files).join(", ") || "no files"}`)
      }
      const history = JSON.parse(new TextDecoder().decode(historyBytes)) as History
      const tensors = decodeTensors(tensorBytes, tensorFile)
      const bad = firstNonFinite(tensors)
      if (bad !== undefined) throw new Error(`${tensorFile}: ${bad}`)
      const snapshot: TrainingSnapshot = {
        step: history.length,
        weights: partOf(tensors, "weights"),
        exp_avg: partOf(tensors, "exp_avg"),
        exp_avg_sq: partOf(tensors, "exp_avg_sq"),
        twin: partOf(tensors, "twin"),
        state: partOf(tensors, "state"),
        ema: partOf(tensors, "ema")
      }
      return { snapshot, history }
    },
    catch: (cause) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      return new NodeError({ code: "R402", node, detail: `checkpoint not readable: ${why}` })
    }
  })
