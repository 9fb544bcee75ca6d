/** Supervised: what a run tells the process that watches over it, where there is one. */
import type { Plan } from "@bootlace/graph"

/** A node about to be called. */
export interface Work {
  readonly node: string
  readonly rows?: number
  /** Of its config, where it has one. */
  readonly batch_size?: number
}

const batchSizes = (plan: Plan): ReadonlyMap<string, number> =>
  new Map(
    plan.nodes.flatMap(({ id, encodedConfig }) => {
      const size = (encodedConfig as Readonly<Record<string, unknown>>)["batch_size"]
      return typeof size === "number" ? [[id, size] as const] : []
    })
  )

/** Tells each change; the write is done when the call returns, so that what follows may end the process. */
export const tellSupervisor = (plan: Plan): ((node: string, rows?: number) => void) => {
  const sizes = batchSizes(plan)
  let told: Work | undefined
  return (node, rows) => {
    if (process.connected !== true || (told?.node === node && told.rows === rows)) return
    const batch_size = sizes.get(node)
    told = { node, ...(rows === undefined ? {} : { rows }), ...(batch_size === undefined ? {} : { batch_size }) }
    process.send?.(told, () => undefined)
  }
}
