/**
 * JPEG files to stored embeddings of CLIP's image tower by transformers.js, on ONNX Runtime too.
 *
 *   node embed.mjs FOLDER THREADS
 *
 * FOLDER is InferFolder's; its model becomes ONNX files first, in a process of its own. Prints one JSON line {seconds, mb, outputs, peer}.
 */
import { AutoProcessor, CLIPVisionModelWithProjection, env, RawImage } from "@huggingface/transformers"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const [folder, threads] = process.argv.slice(2)
const batchSize = 64

if (!existsSync(join(folder, "theirs", "onnx")))
  execFileSync(process.execPath, [fileURLToPath(new URL("../infer/exportOnnx.ts", import.meta.url)), folder])

env.allowRemoteModels = false
env.localModelPath = folder
const model = await CLIPVisionModelWithProjection.from_pretrained("theirs", {
  dtype: "fp32",
  session_options: { intraOpNumThreads: Number(threads), interOpNumThreads: 1 }
})
const processor = await AutoProcessor.from_pretrained("theirs")

async function embeddings(name) {
  const files = readdirSync(join(folder, name))
    .filter((file) => file.endsWith(".jpg"))
    .sort()
  const parts = []
  for (let start = 0; start < files.length; start += batchSize) {
    const some = files.slice(start, start + batchSize)
    const images = await Promise.all(some.map((file) => RawImage.read(join(folder, name, file))))
    const { image_embeds } = await model(await processor(images))
    parts.push(image_embeds.normalize())
  }
  return parts
}

await embeddings("warm")
const begin = performance.now()
const parts = await embeddings("images")
writeFileSync(join(folder, "transformers.js.bin"), Buffer.concat(parts.map(({ data }) => new Uint8Array(data.buffer))))
const seconds = [(performance.now() - begin) / 1000]
const mb = process.resourceUsage().maxRSS / 1024
console.log(
  JSON.stringify({
    seconds,
    mb,
    outputs: parts[0].tolist().slice(0, 4),
    peer: `transformers.js ${env.version} float32`
  })
)
