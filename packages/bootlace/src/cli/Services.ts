/**
 * What effect/cli may ask of the platform: prompts, flags that read files, programs that flags start. No command here has any of
 * these, so nothing stands behind them and nothing is loaded for them.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { ChildProcessSpawner, make as makeSpawner } from "effect/process/ChildProcessSpawner"

const unused = Effect.die("no command of bootlace asks for this")

const terminal = Terminal.make({
  columns: Effect.succeed(80),
  rows: Effect.succeed(24),
  size: unused,
  readInput: unused,
  readLine: unused,
  display: () => unused
})

export const unusedServices = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.succeed(Terminal.Terminal, terminal),
  Layer.succeed(
    ChildProcessSpawner,
    makeSpawner(() => unused)
  )
)
