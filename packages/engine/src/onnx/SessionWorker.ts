/**
 * The worker thread around ONNX Runtime: owns every tensor that outlives a run, and answers requests one after the other.
 *
 * A run holds this thread until it is done, which is why it is not the main one. Tensors stay here because ONNX Runtime takes
 * no shared memory; they leave as copies.
 */
import { parentPort, workerData } from "node:worker_threads"
import type { InferenceSession, Tensor } from "onnxruntime-common"
import type * as Runtime from "onnxruntime-node"
import { sizeOf } from "../Graph.ts"
import { arrayClass, mapTensors, specsOf, takeRows, writeBlocks, zeros } from "../HostTensors.ts"
import { int8Names, quantized } from "./Int8.ts"
import { SessionProfile } from "./KernelProfile.ts"
import { inPlace } from "../WorkerProtocol.ts"
import type { Command, SessionOptions } from "./Protocol.ts"
import type { HostTensor, HostTensors, Specs } from "../Program.ts"
import type { Cells, FromWorker, Holding } from "../WorkerProtocol.ts"
import { detailOf, serveRequests } from "../WorkerServer.ts"
import { runUncopied } from "./Uncopied.ts"

const port = parentPort!
const options = workerData as SessionOptions & Cells
const spaces = new Map<number, Map<string, Tensor>>()
const sessions = new Map<number, InferenceSession>()
const profiles = new Map<number, SessionProfile>()

const runtime: typeof Runtime | undefined = await import("onnxruntime-node").catch((cause: unknown) => {
  const detail = `onnxruntime-node doesn't load here: ${detailOf(cause)}`
  port.postMessage({ _tag: "Unavailable", detail } satisfies FromWorker)
  return undefined
})

const toTensor = ({ dtype, data, shape }: HostTensor): Tensor => new runtime!.Tensor(dtype, data as never, shape)

const toHost = (tensor: Tensor): HostTensor => ({
  dtype: tensor.type as HostTensor["dtype"],
  shape: tensor.dims,
  data: tensor.data as HostTensor["data"]
})

/**
 * Memory patterns plan one block per session for good; without them the same speed takes two thirds of the memory. A session's threads spin
 * while a run waits for them, which doubles its speed; after the run they must stop, or they take the cores from the next session's.
 */
function compile(command: Extract<Command, { _tag: "Compile" }>): Promise<InferenceSession> {
  const { session, program, model, arena, asWritten } = command
  const profile = options.profile === undefined ? undefined : new SessionProfile(options.profile, session, program)
  if (profile !== undefined) profiles.set(session, profile)
  return runtime!.InferenceSession.create(model, {
    ...profile?.options,
    executionProviders: ["cpu"],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    enableMemPattern: false,
    enableCpuMemArena: arena,
    graphOptimizationLevel: asWritten ? "disabled" : "all",
    logSeverityLevel: 3,
    extra: { session: { force_spinning_stop: "1" } }
  })
}

async function run(command: Extract<Command, { _tag: "Run" }>): Promise<HostTensors> {
  const { session: id, spaces: from, inputs, holding, outputs } = command
  const session = sessions.get(id)!
  const stored = (name: string) =>
    from.map((space) => spaces.get(space)?.get(name)).find((tensor) => tensor !== undefined)
  const feeds: Record<string, Tensor> = {}
  for (const name of session.inputNames) {
    const given = inputs[name]
    feeds[name] = given !== undefined ? toTensor(given) : (stored(name) ?? missing(name))
  }
  const place = (name: string) =>
    name.startsWith(inPlace) ? (stored(name.slice(inPlace.length)) ?? missing(name)) : stored(name)
  if (outputs !== undefined) {
    const made = zeros(Object.fromEntries(Object.entries(outputs).filter(([name]) => place(name) === undefined)))
    await runUncopied(
      session,
      feeds,
      mapTensors(outputs, (_, name) => place(name) ?? toTensor(made[name]!))
    )
    profiles.get(id)?.ran(session)
    return made
  }
  const fetches: Record<string, Tensor | null> = {}
  for (const name of session.outputNames) fetches[name] = place(name) ?? null
  const results = await session.run(feeds, fetches)
  profiles.get(id)?.ran(session)
  const fresh = session.outputNames.filter(
    (name) => fetches[name] === null && !(holding !== undefined && hold(holding, name, results[name] as Tensor))
  )
  return Object.fromEntries(fresh.map((name) => [name, toHost(results[name] as Tensor)]))
}

/** Whether an output stays. */
function hold({ space, keep, write: into, places }: Holding, name: string, output: Tensor): boolean {
  const held = spaces.get(space)!
  const [kept, written] = [keep[name], into[name]]
  if (kept !== undefined) held.set(kept, output)
  if (written !== undefined)
    writeBlocks((held.get(written) ?? missing(written)).data as Float32Array, output.data as Float32Array, places)
  return kept !== undefined || written !== undefined
}

function take({ space, rows }: Extract<Command, { _tag: "Take" }>): void {
  const held = spaces.get(space)!
  for (const [name, tensor] of held) held.set(name, toTensor(takeRows(toHost(tensor), rows)))
}

const missing = (name: string): never => {
  throw new Error(`the worker holds no tensor ${name}`)
}

function put(number: number, tensors: HostTensors): void {
  const space = spaces.get(number) ?? new Map<string, Tensor>()
  for (const [name, tensor] of Object.entries(tensors)) space.set(name, toTensor(tensor))
  spaces.set(number, space)
}

/** Zeros in one piece of memory. Once let go of, it goes back to the system; many small ones would stay with the process as holes. */
function stretch(specs: Specs): HostTensors {
  const element = 4
  const buffer = new ArrayBuffer(element * Object.values(specs).reduce((sum, { shape }) => sum + sizeOf(shape), 0))
  let offset = 0
  return mapTensors(specs, ({ dtype, shape }) => {
    const data = new arrayClass[dtype](buffer, offset, sizeOf(shape))
    offset += element * data.length
    return { dtype, shape, data }
  })
}

function copy({ space, prefix, names, into, as }: Extract<Command, { _tag: "Copy" }>): void {
  const from = Object.fromEntries(
    names.map((name) => [as + name, toHost(spaces.get(space)?.get(prefix + name) ?? missing(prefix + name))])
  )
  const copies = stretch(specsOf(from))
  for (const [name, { data }] of Object.entries(copies)) data.set(from[name]!.data)
  put(into, copies)
}

function clear({ space, prefix }: Extract<Command, { _tag: "Clear" }>): void {
  for (const [name, tensor] of spaces.get(space) ?? [])
    if (name.startsWith(prefix)) (tensor.data as Float32Array).fill(0)
}

function write({ space, name, row, rows }: Extract<Command, { _tag: "Write" }>): void {
  const tensor = spaces.get(space)?.get(name) ?? missing(name)
  const rowLength = tensor.size / tensor.dims[0]!
  ;(tensor.data as Float32Array).set(rows.data, row * rowLength)
}

/** The memory of these tensors, which then are parts of it; one alone stays where it is. */
function together(all: Map<string, Tensor>, names: ReadonlyArray<string>): Float32Array {
  const parts = names.map((name) => all.get(name) ?? missing(name))
  if (parts.length === 1) return parts[0]!.data as Float32Array
  const whole = new Float32Array(parts.reduce((size, part) => size + part.size, 0))
  let offset = 0
  for (const [index, part] of parts.entries()) {
    const place = whole.subarray(offset, offset + part.size)
    place.set(part.data as Float32Array)
    all.set(names[index]!, toTensor({ dtype: "float32", shape: part.dims, data: place }))
    offset += part.size
  }
  return whole
}

function pack({ space, prefix, groups, piece, into }: Extract<Command, { _tag: "Pack" }>): void {
  const all = spaces.get(space) ?? new Map<string, Tensor>()
  for (const [group, names] of Object.entries(groups)) {
    const whole = together(
      all,
      names.map((name) => prefix + name)
    )
    for (let from = 0, index = 0; from < whole.length; from += piece, index++) {
      const data = whole.subarray(from, from + piece)
      put(into, { [`${prefix}${group}.${index}`]: { dtype: "float32", shape: [data.length], data } })
    }
  }
}

function quantize({ space, weights, levels }: Extract<Command, { _tag: "Quantize" }>): void {
  const held = spaces.get(space)!
  for (const name of weights) {
    const { data, dims } = held.get(`w:${name}`) ?? missing(`w:${name}`)
    const [outputs, inputs] = dims as [number, number]
    const { values, scales } = quantized(data as Float32Array, outputs, levels)
    const names = int8Names(name)
    held.set(names.values, new runtime!.Tensor("int8", values, [inputs, outputs]))
    held.set(names.scales, new runtime!.Tensor("float32", scales, [outputs]))
  }
}

/** Copies, each in memory of its own: a part of a packed stretch would take the whole stretch along. */
function read(space: number, prefix: string): HostTensors {
  const found = [...(spaces.get(space) ?? [])].filter(([name]) => name.startsWith(prefix))
  return Object.fromEntries(
    found.map(([name, tensor]) => {
      const host = toHost(tensor)
      return [name.slice(prefix.length), { ...host, data: host.data.slice() }]
    })
  )
}

async function release(id: number): Promise<void> {
  const session = sessions.get(id)
  if (session === undefined) return
  profiles.get(id)?.released(session)
  profiles.delete(id)
  await session.release()
  sessions.delete(id)
}

async function answer(command: Command): Promise<HostTensors> {
  switch (command._tag) {
    case "Put":
      put(command.space, command.tensors)
      return {}
    case "Zeros":
      put(command.space, stretch(command.specs))
      return {}
    case "Copy":
      copy(command)
      return {}
    case "Clear":
      clear(command)
      return {}
    case "Write":
      write(command)
      return {}
    case "Read":
      return read(command.space, command.prefix)
    case "Pack":
      pack(command)
      return {}
    case "Quantize":
      quantize(command)
      return {}
    case "Take":
      take(command)
      return {}
    case "Drop":
      spaces.delete(command.space)
      return {}
    case "Compile":
      sessions.set(command.session, await compile(command))
      return {}
    case "Release":
      await release(command.session)
      return {}
    case "Run":
      return run(command)
  }
}

if (runtime !== undefined)
  serveRequests(port, options, runtime.env.versions.node ?? runtime.env.versions.common, answer)
