/**
 * Inference against transformers and open_clip: the same weights, the same picture files.
 *
 *   caption-greedy-8, caption-beam-8, caption-nucleus-8, ...-64   captions of 20 tokens by BLIP of ViT-S/16 and MED of 6 x 384
 *   itm-scoring                                                  8 pictures x 32 texts by the same model
 *   clip-embed-jpeg                                              192 JPEG files of 640 x 480 by CLIP's ViT-B/32, from file to stored embedding
 *   clip-embed-jpeg-int8                                         the same with weights of 8 bits, against weights of bfloat16
 */
import type { Case, Peer } from "../Case.ts"
import { captionFlops, imageFlops, matchingFlops } from "../Flops.ts"
import { blipConfig, captionFolder, clipConfig, embeddingFolder, matchingFolder } from "./InferFolder.ts"

const transformers = {
  modules: ["torch", "transformers", "safetensors", "PIL"],
  requirements: "requirements-infer.txt"
}

const suite = "infer"
const share = (part: number, of: number): string => `${part} of ${of}`

/** Two likeliest tokens may be as likely as rounding is fine; a caption in twenty may differ. */
function captionsDiffer(ours: unknown, peer: unknown): string | undefined {
  const [own, theirs] = [ours, peer] as [ReadonlyArray<string>, ReadonlyArray<string>]
  const alike = own.filter((caption, i) => caption === theirs[i]).length
  return theirs.length === own.length && alike >= 0.95 * own.length
    ? undefined
    : `${share(alike, own.length)} captions are the same; the first are "${own[0]}" here and "${theirs[0]}" there`
}

const wordsIn = (captions: ReadonlyArray<string>): number => captions.join(" ").split(" ").length

/** Drawn captions differ by the generators of the draws, but not in their lengths. */
function lengthsDiffer(ours: unknown, peer: unknown): string | undefined {
  const [own, theirs] = [ours, peer] as [ReadonlyArray<string>, ReadonlyArray<string>]
  const [here, there] = [wordsIn(own), wordsIn(theirs)]
  return own.length === theirs.length && Math.abs(here - there) <= 0.05 * there
    ? undefined
    : `${here} words in ${own.length} captions here, ${there} in ${theirs.length} there`
}

function scoresDiffer(ours: unknown, peer: unknown): string | undefined {
  const [own, theirs] = [ours, peer] as [ReadonlyArray<number>, ReadonlyArray<number>]
  const worst = Math.max(...own.map((score, i) => Math.abs(score - (theirs[i] ?? Number.NaN))))
  return own.length === theirs.length && worst < 1e-3 ? undefined : `a score is ${worst} off`
}

const cosine = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  const dot = (x: ReadonlyArray<number>, y: ReadonlyArray<number>) =>
    x.reduce((sum, value, i) => sum + value * y[i]!, 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

/** Two JPEG decoders differ by a grey level here and there; narrower weights by more. */
const embeddingsDiffer = (least: number) => (ours: unknown, peer: unknown) => {
  const [own, theirs] = [ours, peer] as [ReadonlyArray<ReadonlyArray<number>>, ReadonlyArray<ReadonlyArray<number>>]
  const worst = Math.min(...own.map((embedding, i) => cosine(embedding, theirs[i]!)))
  return worst > least ? undefined : `the cosine of two embeddings of a file is ${worst}`
}

function captioning(nano: boolean, method: "greedy" | "beam" | "nucleus", batch: number): Case {
  const tokens = nano ? 12 : 20
  const images = nano ? 4 : batch
  const given = [method, String(images), String(tokens)]
  return {
    name: `caption-${method}-${batch}`,
    suite,
    unit: "a batch",
    items: [images, "captions"],
    steps: batch > 8 ? 1 : 3,
    flops: images * captionFlops(blipConfig(nano), method === "beam" ? 3 : 1, tokens),
    prepare: captionFolder(nano, images),
    ours: ({ folder, threads, steps }) => ["infer/ours.ts", folder, threads, steps, "caption", ...given],
    peers: [
      {
        ...transformers,
        name: "transformers",
        command: ({ folder, threads, steps }) => ["caption.py", folder, threads, steps, ...given]
      }
    ],
    differs: method === "nucleus" ? lengthsDiffer : captionsDiffer
  }
}

function matching(nano: boolean): Case {
  const [images, texts] = nano ? [2, 8] : [8, 32]
  const peer = (name: string): Peer => ({
    ...transformers,
    name,
    command: ({ folder, threads, steps }) => ["match.py", folder, threads, steps, name]
  })
  return {
    name: "itm-scoring",
    suite,
    unit: "for all pairs",
    items: [images * texts, "pairs"],
    steps: 2,
    flops: matchingFlops(blipConfig(nano), images, texts, 10),
    prepare: matchingFolder(nano, images, texts),
    ours: ({ folder, threads, steps }) => ["infer/ours.ts", folder, threads, steps, "match", "64"],
    peers: [peer("forward"), peer("shared")],
    differs: scoresDiffer
  }
}

const embeddingPeer = (name: string, modules: ReadonlyArray<string> = transformers.modules): Peer => ({
  modules,
  requirements: transformers.requirements,
  name,
  command: ({ folder, threads }) => ["embed.py", folder, threads, name]
})

const transformersJs: Peer = {
  name: "transformers.js",
  modules: ["@huggingface/transformers"],
  requirements: "package.json",
  self: true,
  command: ({ folder, threads }) => ["peers/embed.mjs", folder, threads]
}

function embedding(nano: boolean, precision: "fp32" | "int8"): Case {
  const images = nano ? 8 : 192
  const exact = precision === "fp32"
  const openClip = embeddingPeer("open_clip", ["torch", "open_clip", "safetensors", "PIL"])
  return {
    name: exact ? "clip-embed-jpeg" : `clip-embed-jpeg-${precision}`,
    suite,
    unit: "for all files",
    items: [images, "images"],
    steps: 1,
    ...(exact && { flops: images * imageFlops(clipConfig(nano).vision_config, "class token") }),
    prepare: embeddingFolder(nano, images, nano ? 4 : 64),
    ours: ({ folder, threads }) => ["infer/embed.ts", folder, threads, precision],
    peers: exact ? [embeddingPeer("transformers"), openClip, transformersJs] : [embeddingPeer("bfloat16")],
    differs: embeddingsDiffer(exact ? 0.99 : 0.95)
  }
}

/** `nano`: each with a model of hardly any size. */
export const inferCases = (nano: boolean): ReadonlyArray<Case> => [
  ...([8, 64] as const).flatMap((batch) =>
    (["greedy", "beam", "nucleus"] as const).map((method) => captioning(nano, method, batch))
  ),
  matching(nano),
  embedding(nano, "fp32"),
  embedding(nano, "int8")
]
