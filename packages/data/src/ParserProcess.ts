/**
 * The process that parses foreign files: answers one request after the other until its parent lets it go.
 *
 * Started by ForeignParser.ts with a bounded heap and no right to write files or start processes. A file may make it hold
 * `parser_memory_mib` beyond what it needs empty and three copies of the file: its bytes, its columns and the answer.
 */
import { once } from "node:events"
import { stat } from "node:fs/promises"
import { Worker } from "node:worker_threads"
import { blame } from "./DataError.ts"
import { inspectForeign, readForeign } from "./ForeignFile.ts"
import type { ParserReply, ParserRequest } from "./ForeignParser.ts"
import { encodeShard } from "./Shards.ts"

const ceiling = new Float64Array(new SharedArrayBuffer(8))
const watch = new Worker(new URL(`./MemoryWatch${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url), {
  workerData: ceiling.buffer
})
await once(watch, "online")
watch.unref()
const empty = process.memoryUsage.rss()

const answer = async (request: ParserRequest): Promise<ParserReply> => {
  const { format, path, limits } = request
  try {
    const { size } = await stat(path)
    ceiling[0] = empty + limits.parser_memory_mib * 1024 * 1024 + 3 * size
    if (request.kind === "inspect") return { kind: "shape", shape: await inspectForeign(format, path, limits) }
    const batch = await readForeign(format, path, request.shard, request.wanted, limits)
    return { kind: "shard", bytes: encodeShard([batch]) }
  } catch (cause) {
    const error = blame({ code: format === "parquet" ? "BadParquet" : "BadArrow", file: path }, cause)
    return { kind: "error", error: { ...error } }
  }
}

const send = (message: ParserReply): void => void process.send!(message)

process.on("message", (request: ParserRequest) => void answer(request).then(send))
process.on("disconnect", () => process.exit())
send({ kind: "ready" })
