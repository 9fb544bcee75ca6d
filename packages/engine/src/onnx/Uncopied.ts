/**
 * Runs that leave nothing but what they write into buffers that are there already.
 *
 * ONNX Runtime's binding copies every output of a run for JavaScript, one that was given a buffer too: of a training step that is all gradients,
 * weights and moments once more. It converts outputs in their order and refuses what isn't a tensor. So the first output here is an empty
 * sequence: the run is over by then, and the first refusal comes before the first copy. A binding that takes sequences gives the same results.
 */
import type { InferenceSession } from "onnxruntime-common"
import { inPlace } from "../WorkerProtocol.ts"
import { detailOf } from "../WorkerServer.ts"
import type { Device } from "./Protocol.ts"

/** The name of that first output. */
export const sequence = "#sequence"

/** Whether an output is written over a tensor that the worker holds. */
export const isPlaced = (output: string): boolean => output.startsWith(inPlace) || output.startsWith("g:")

/** Whether a graph with these outputs runs this way: on the processor, where it writes over tensors that the worker holds. */
export const isUncopied = (outputs: Readonly<Record<string, unknown>>, device: Device): boolean =>
  device === "cpu" && Object.keys(outputs).some(isPlaced)

/** Every output but the sequence has its buffer in `buffers`. */
export async function runUncopied(
  session: InferenceSession,
  feeds: InferenceSession.FeedsType,
  buffers: InferenceSession.NullableOnnxValueMapType
): Promise<void> {
  try {
    await session.run(feeds, { ...buffers, [sequence]: null })
  } catch (cause) {
    if (!/^non tensor type/i.test(detailOf(cause))) throw cause
  }
}
