/** `bootlace engine list|doctor`: what can run tensors here. */
import { Effect } from "effect"
import { Failure } from "../Failure.ts"
import { out } from "../Screen.ts"
import { table } from "../Table.ts"

const engines: ReadonlyArray<ReadonlyArray<string>> = [
  ["onnx", "captured programs in ONNX Runtime, in a worker thread (default)"],
  ["eager", "tfjs operation by operation, on the cpu backend: slow, the reference in tests"]
]

export const list = () => out(table([{ title: "engine" }, { title: "what it is" }], engines))

export const doctor = Effect.fnUntraced(function* () {
  const { engineDoctor } = yield* Effect.promise(() => import("@bootlace/engine"))
  const found = yield* engineDoctor
  const rows = found.map((each) => [
    each.backend === undefined ? each.executor : `${each.executor} (${each.backend})`,
    each.available ? "works" : "missing",
    each.detail
  ])
  yield* out(table([{ title: "engine" }, { title: "here" }, { title: "detail" }], rows))
  if (!found.some((each) => each.available))
    return yield* new Failure({ exit: 1, message: "error: no engine works on this machine" })
})
