/**
 * The process that parses foreign files: answers one request after the other until its parent lets it go.
 *
 * Started by ForeignParser.ts with a bounded heap and no right to write files or start processes.
 */
import { blame } from "./DataError.ts"
import { inspectForeign, readForeign } from "./ForeignFile.ts"
import type { ParserReply, ParserRequest } from "./ForeignParser.ts"
import { encodeShard } from "./Shards.ts"

const answer = async (request: ParserRequest): Promise<ParserReply> => {
  const { format, path, limits } = request
  try {
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
