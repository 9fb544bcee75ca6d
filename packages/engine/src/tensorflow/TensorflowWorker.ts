/**
 * The worker thread around TensorFlow's binding: owns every tensor that outlives a run, and answers requests one after the other. A run
 * holds this thread until it is done, which is why it is not the main one.
 */
import { parentPort, workerData } from "node:worker_threads"
import type { HostTensors } from "../Program.ts"
import type { Cells, FromWorker } from "../WorkerProtocol.ts"
import { detailOf, serveRequests } from "../WorkerServer.ts"
import { loadBinding } from "./Binding.ts"
import type { Binding } from "./Binding.ts"
import type { Command, TensorflowData } from "./Protocol.ts"
import { TensorStore } from "./TensorStore.ts"

const port = parentPort!
const data = workerData as TensorflowData & Cells

function open(): Binding | undefined {
  try {
    return loadBinding(data.binding)
  } catch (cause) {
    const detail = `${data.binding} doesn't load: ${detailOf(cause)}`
    port.postMessage({ _tag: "Unavailable", detail } satisfies FromWorker)
    return undefined
  }
}

function answer(store: TensorStore, command: Command): HostTensors {
  switch (command._tag) {
    case "Put":
      store.put(command.space, command.tensors)
      return {}
    case "Zeros":
      store.putZeros(command.space, command.specs)
      return {}
    case "Write":
      store.write(command)
      return {}
    case "Copy":
      store.copy(command)
      return {}
    case "Read":
      return store.read(command.space, command.prefix)
    case "Take":
      store.take(command)
      return {}
    case "Drop":
      store.drop(command.space)
      return {}
    case "Compile":
      store.compile(command.model, command.compiled)
      return {}
    case "Release":
      store.release(command.model)
      return {}
    case "Run":
      return store.run(command)
  }
}

const binding = open()
if (binding !== undefined) {
  const store = new TensorStore(binding)
  const device = binding.isUsingGpuDevice() ? "gpu" : "cpu"
  serveRequests(port, data, `${binding.TF_Version} ${device}`, (command: Command) => answer(store, command))
}
