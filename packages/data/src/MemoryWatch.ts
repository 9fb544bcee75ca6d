/**
 * A thread beside the parser that ends the whole process when it holds more memory than it may.
 *
 * V8's own limit counts objects and no array buffers, where Parquet pages and Arrow batches are; and one long call of a library
 * leaves the parser's thread no time to look.
 */
import { workerData } from "node:worker_threads"

/** Bytes that the process may hold; the parser writes it before every request. */
const ceiling = new Float64Array(workerData as SharedArrayBuffer)

setInterval(() => {
  const allowed = ceiling[0]!
  if (allowed > 0 && process.memoryUsage.rss() > allowed) process.kill(process.pid, "SIGKILL")
}, 10)
