import type { TokenTensors } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"

/** The same texts with another first token: MED's roles begin with [CLS], [ENC] or [DEC] (Li et al. 2022, section 3.1). */
export const withFirstToken = ({ input_ids, ...rest }: TokenTensors, id: number): TokenTensors => {
  const first_B1 = tf.fill([input_ids.shape[0]!, 1], id, "int32")
  return { input_ids: tf.concat([first_B1, tf.slice(input_ids, [0, 1], [-1, -1])], 1), ...rest }
}
