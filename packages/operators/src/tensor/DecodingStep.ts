/** A token of cached decoding as a program: what the host keeps between steps goes in, logits and the token's keys and values come out. */
import type { HostTensor, HostTensors, Program } from "@bootlace/engine"
import type { BlipModel, HostArray, StepInputs } from "@bootlace/models"

export const decodingStep =
  (model: BlipModel): Program["run"] =>
  (weights, { input_ids, position, visible, self_keys, self_values, cross_keys, cross_values }) =>
    model.decodeStep(weights, input_ids!, position!, visible!, {
      self_keys: self_keys!,
      self_values: self_values!,
      cross_keys: cross_keys!,
      cross_values: cross_values!
    })

const float32 = ({ shape, data }: HostArray): HostTensor => ({ shape, dtype: "float32", data })

/** The step's inputs as tensors, under the names that `decodingStep` reads. */
export const stepTensors = ({ input_ids, position, visible, ...arrays }: StepInputs): HostTensors => ({
  input_ids: { shape: [input_ids.length, 1], dtype: "int32", data: input_ids },
  position: { shape: [], dtype: "int32", data: Int32Array.of(position) },
  visible: { shape: [visible.length], dtype: "float32", data: visible },
  ...Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, float32(array)]))
})
