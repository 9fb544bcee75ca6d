/** `bootlace engine list|install|doctor`: what can run tensors here. */
import * as Effect from "effect/Effect"
import { Failure } from "../Failure.ts"
import { note, out } from "../Screen.ts"
import { table } from "../Table.ts"

const engines: ReadonlyArray<ReadonlyArray<string>> = [
  ["onnx", "captured programs in ONNX Runtime, in a worker thread (default)"],
  [
    "tensorflow",
    "captured programs in TensorFlow, fp32 or bf16; `bootlace engine install tensorflow` provisions its library"
  ],
  ["webgpu", "captured programs in ONNX Runtime on a GPU, through Vulkan, Metal or Direct3D 12"],
  ["eager", "tfjs operation by operation, on the cpu backend: slow, the reference in tests"]
]

export const list = () => out(table([{ title: "engine" }, { title: "what it is" }], engines))

export interface InstallCommand {
  readonly engine: "tensorflow"
  readonly variant: "cpu" | "cuda" | undefined
}

/** An installation that broke off goes on by the same command. */
export const install = Effect.fnUntraced(function* ({ variant }: InstallCommand) {
  const { installTensorflow } = yield* Effect.promise(() => import("@bootlace/engine"))
  const options = { say: note, ...(variant === undefined ? {} : { variant }) }
  const { folder, tensorflow } = yield* installTensorflow(options).pipe(
    Effect.mapError(({ detail }) => new Failure({ exit: 1, message: `error[R505] ${detail}` }))
  )
  yield* out(`TensorFlow ${tensorflow} is ready in ${folder}`)
})

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
