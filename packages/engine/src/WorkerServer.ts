/** The worker's side of a request: one after the other, each answered or failed. */
import type { MessagePort } from "node:worker_threads"
import type { HostTensors } from "./Program.ts"
import { cell } from "./WorkerProtocol.ts"
import type { Cells, FromWorker, Request } from "./WorkerProtocol.ts"

export const detailOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

export function serveRequests<Command>(
  port: MessagePort,
  { cells }: Cells,
  version: string,
  answer: (command: Command) => Promise<HostTensors> | HostTensors
): void {
  const say = (message: FromWorker) => port.postMessage(message)

  async function serve({ id, command }: Exclude<Request<Command>, "Close">): Promise<void> {
    try {
      say({ _tag: "Done", id, tensors: await answer(command) })
    } catch (cause) {
      say({ _tag: "Failed", id, detail: detailOf(cause) })
    }
  }

  async function take(request: Request<Command>): Promise<void> {
    Atomics.store(cells, cell.busy, 1)
    if (Atomics.load(cells, cell.closing) === 1) port.close()
    else if (request !== "Close") await serve(request)
    Atomics.store(cells, cell.busy, 0)
    Atomics.notify(cells, cell.busy)
  }

  let last: Promise<void> = Promise.resolve()
  port.on("message", (request: Request<Command>) => {
    last = last.then(() => take(request))
  })
  say({ _tag: "Started", version })
}
