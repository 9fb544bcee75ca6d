/**
 * The worker thread around ONNX Runtime: owns every tensor that outlives a run, and answers requests one after the other.
 *
 * A run holds this thread until it is done, which is why it is not the main one.
 */
import { parentPort, workerData } from "node:worker_threads"
import type { InferenceSession } from "onnxruntime-common"
import type * as Runtime from "onnxruntime-node"
import type { HostTensors } from "../Program.ts"
import type { Cells, FromWorker } from "../WorkerProtocol.ts"
import { detailOf, serveRequests } from "../WorkerServer.ts"
import { adapterBits } from "./Adapter.ts"
import { DeviceMemory } from "./DeviceMemory.ts"
import { HostMemory } from "./HostMemory.ts"
import { SessionProfile } from "./KernelProfile.ts"
import type { Command, CompileCommand, RunCommand, SessionOptions } from "./Protocol.ts"

const port = parentPort!
const options = workerData as SessionOptions & Cells
const sessions = new Map<number, InferenceSession>()
const profiles = new Map<number, SessionProfile>()

const unavailable = (detail: string): undefined => {
  port.postMessage({ _tag: "Unavailable", detail } satisfies FromWorker)
}

/** Of ONNX Runtime's message, which names lines of its source, what a person can read. */
const reasonIn = (message: string): string => /Failed to get[\w :-]*/.exec(message)?.[0] ?? message

const noAdapter = (cause: unknown) =>
  unavailable(
    `${reasonIn(detailOf(cause))}. It takes a GPU whose driver speaks Vulkan (with the loader libvulkan1), Metal or Direct3D 12`
  )

const runtime: typeof Runtime | undefined = await import("onnxruntime-node").catch((cause: unknown) =>
  unavailable(`onnxruntime-node doesn't load here: ${detailOf(cause)}`)
)

/** Of ONNX Runtime, and of the adapter where there is one. */
async function versionOf(loaded: typeof Runtime): Promise<string | undefined> {
  const version = loaded.env.versions.node ?? loaded.env.versions.common
  if (options.device === "cpu") return version
  return adapterBits(loaded).then((bits) => `${version} webgpu ${bits}`, noAdapter)
}

function serve(loaded: typeof Runtime, version: string): void {
  const memory = options.device === "cpu" ? new HostMemory(loaded) : new DeviceMemory(loaded)

  /**
   * Memory patterns plan one block per session for good; without them the same speed takes two thirds of the memory. A session's threads spin
   * while a run waits for them, which doubles its speed; after the run they must stop, or they take the cores from the next session's.
   */
  async function compile({ session, program, model, arena, asWritten, resident }: CompileCommand): Promise<void> {
    const profile = options.profile === undefined ? undefined : new SessionProfile(options.profile, session, program)
    if (profile !== undefined) profiles.set(session, profile)
    const compiled = await loaded.InferenceSession.create(model, {
      ...profile?.options,
      executionProviders: [options.device],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      enableMemPattern: false,
      enableCpuMemArena: arena,
      graphOptimizationLevel: asWritten ? "disabled" : "all",
      logSeverityLevel: 3,
      preferredOutputLocation: Object.fromEntries(resident.map((name) => [name, "gpu-buffer" as const])),
      extra: { session: { force_spinning_stop: "1" } }
    })
    sessions.set(session, compiled)
  }

  async function run(command: RunCommand): Promise<HostTensors> {
    const session = sessions.get(command.session)!
    const results = await memory.run(session, command)
    profiles.get(command.session)?.ran(session)
    return results
  }

  async function release(id: number): Promise<void> {
    const session = sessions.get(id)
    if (session === undefined) return
    profiles.get(id)?.released(session)
    profiles.delete(id)
    await session.release()
    sessions.delete(id)
  }

  serveRequests<Command>(port, options, version, async (command) => {
    if (command._tag === "Run") return run(command)
    if (command._tag === "Compile") await compile(command)
    else if (command._tag === "Release") await release(command.session)
    else return memory.answer(command)
    return {}
  })
}

if (runtime !== undefined) {
  const version = await versionOf(runtime)
  if (version !== undefined) serve(runtime, version)
}
