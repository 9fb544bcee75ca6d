/**
 * Files with faults: every step that touches the disk is numbered, and a test decides what happens at step n.
 */
import { Effect } from "effect"
import type { DataError, FilesShape } from "../src/index.ts"

export interface Step {
  readonly number: number
  readonly verb: string
  readonly path: string
}

/** What happens at a step: `run` is the step itself. */
export type Fault = <A>(step: Step, run: Effect.Effect<A, DataError>) => Effect.Effect<A, DataError>

/** The same files, each step passed through `fault`. */
export const withFaults = (base: FilesShape, fault: Fault): FilesShape => {
  let number = 0
  const step = <A>(verb: string, path: string, run: Effect.Effect<A, DataError>): Effect.Effect<A, DataError> =>
    Effect.suspend(() => fault({ number: ++number, verb, path }, run))
  const on = <A>(verb: string, method: (path: string) => Effect.Effect<A, DataError>) => {
    return (path: string): Effect.Effect<A, DataError> => step(verb, path, method(path))
  }
  return {
    read: on("read", base.read),
    open: (path) =>
      Effect.map(step("open", path, base.open(path)), (file) => ({
        ...file,
        read: (offset: number, length: number, spare?: Uint8Array<ArrayBuffer>) =>
          step("readAt", path, file.read(offset, length, spare))
      })),
    rename: (from, to) => step("rename", to, base.rename(from, to)),
    fsyncFolder: on("fsyncFolder", base.fsyncFolder),
    makeFolder: on("makeFolder", base.makeFolder),
    list: on("list", base.list),
    stat: on("stat", base.stat),
    realPath: on("realPath", base.realPath),
    remove: on("remove", base.remove),
    freeBytes: on("freeBytes", base.freeBytes),
    create: (path) =>
      Effect.map(step("create", path, base.create(path)), (sink) => ({
        write: (bytes) => step("write", path, sink.write(bytes)),
        close: step("fsync", path, sink.close),
        abandon: sink.abandon
      }))
  }
}

/** Stops the process at step `n`: that step doesn't happen, and no later one. */
export const killAt =
  (n: number): Fault =>
  (step, run) =>
    step.number < n ? run : Effect.die(`killed at step ${n}`)

/** Step `n` fails, once. */
export const failAt =
  (n: number, error: DataError): Fault =>
  (step, run) =>
    step.number === n ? Effect.fail(error) : run
