/** The worker's tensors on a device. A run's results there take the place of the tensors that they were computed from. */
import type { InferenceSession, Tensor } from "onnxruntime-common"
import type * as Runtime from "onnxruntime-node"
import { mapTensors, zeros } from "../HostTensors.ts"
import type { HostTensor, HostTensors } from "../Program.ts"
import type { Holding } from "../WorkerProtocol.ts"
import { DeviceTensors } from "./DeviceTensors.ts"
import { toHost } from "./HostMemory.ts"
import { checkPositions } from "./PositionBounds.ts"
import type { MemoryCommand, RunCommand, TensorMemory } from "./Protocol.ts"
import { Spaces } from "./Spaces.ts"

export class DeviceMemory implements TensorMemory {
  readonly #device: DeviceTensors
  readonly #spaces = new Spaces()

  constructor(runtime: typeof Runtime) {
    this.#device = new DeviceTensors(runtime)
  }

  async answer(command: MemoryCommand): Promise<HostTensors> {
    switch (command._tag) {
      case "Put":
        await this.#put(command.space, command.tensors)
        return {}
      case "Zeros":
        await this.#put(command.space, zeros(command.specs))
        return {}
      case "Copy": {
        const to = this.#spaces.at(command.into)
        for (const name of command.names)
          replace(
            to,
            command.as + name,
            await this.#device.copy(this.#spaces.get(command.space, command.prefix + name))
          )
        return {}
      }
      case "Clear": {
        const found = this.#spaces.under(command.space, command.prefix)
        const specs = Object.fromEntries(
          found.map(([name, { dims }]) => [name, { shape: dims, dtype: "float32" as const }])
        )
        await this.#put(command.space, zeros(specs))
        return {}
      }
      case "Write": {
        const { space, name, row, rows } = command
        const places = Int32Array.from({ length: rows.shape[0]! }, (_, index) => row + index)
        await this.#write(space, name, this.#device.toTensor(rows), places)
        return {}
      }
      case "Read":
        return this.#read(command.space, command.prefix)
      case "Take": {
        const held = this.#spaces.at(command.space)
        for (const [name, tensor] of held) replace(held, name, await this.#device.rows(tensor, command.rows))
        return {}
      }
      case "Drop":
        for (const tensor of this.#spaces.drop(command.space)) tensor.dispose()
        return {}
      case "Pack":
      case "Quantize":
        throw new Error(`tensors on a device take no ${command._tag}`)
    }
  }

  async run(session: InferenceSession, { spaces, inputs, holding, bounds = {} }: RunCommand): Promise<HostTensors> {
    checkPositions(bounds, inputs)
    const given = mapTensors(inputs, (tensor) => this.#device.toTensor(tensor))
    const results = await session.run(this.#spaces.feeds(session, spaces, given))
    const back: Record<string, HostTensor> = {}
    for (const name of session.outputNames) {
      const output = results[name] as Tensor
      if (holding !== undefined && (await this.#hold(holding, name, output))) continue
      const place = this.#spaces.place(spaces, name)
      if (place === undefined) back[name] = toHost(output)
      else replace(...place, output)
    }
    return back
  }

  /** Whether an output stays. */
  async #hold({ space, keep, write: into, places }: Holding, name: string, output: Tensor): Promise<boolean> {
    const [kept, written] = [keep[name], into[name]]
    if (written !== undefined) await this.#write(space, written, output, places)
    if (kept !== undefined) replace(this.#spaces.at(space), kept, output)
    else if (written !== undefined) output.dispose()
    return kept !== undefined || written !== undefined
  }

  async #write(space: number, name: string, blocks: Tensor, places: Int32Array): Promise<void> {
    const now = await this.#device.write(this.#spaces.get(space, name), blocks, places)
    replace(this.#spaces.at(space), name, now)
  }

  async #put(number: number, tensors: HostTensors): Promise<void> {
    const space = this.#spaces.at(number)
    for (const [name, tensor] of Object.entries(tensors)) replace(space, name, await this.#device.upload(tensor))
  }

  async #read(space: number, prefix: string): Promise<HostTensors> {
    const found: Record<string, HostTensor> = {}
    for (const [name, tensor] of this.#spaces.under(space, prefix))
      found[name.slice(prefix.length)] = await this.#device.download(tensor)
    return found
  }
}

function replace(space: Map<string, Tensor>, name: string, tensor: Tensor): void {
  space.get(name)?.dispose()
  space.set(name, tensor)
}
