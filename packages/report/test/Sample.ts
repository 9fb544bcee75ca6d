/** A made-up run of the CapFilt ablation: what the tests and a designer's eye look at. Numbers come from a seeded generator. */
import type { DrawnNode, NodeRecord, RunRecord } from "@bootlace/graph"
import type { Page } from "../src/Page.ts"

/** A linear congruential generator: uniform in [0, 1). */
export const uniform = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const variants = ["none", "filter", "captioner", "both"]
const seeds = ["1", "2", "3", "4", "5"]

type Wires = ReadonlyArray<readonly [string, string]>
const shared: ReadonlyArray<readonly [string, string, string, Wires]> = [
  ["web", "EmojiPairs", "source", []],
  ["human", "EmojiPairs", "source", []],
  ["unseen", "EmojiPairs", "source", []],
  [
    "vocabulary",
    "BuildVocabulary",
    "fold",
    [
      ["web", "pairs"],
      ["human", "pairs"]
    ]
  ],
  ["blip", "InitModel", "fold", [["vocabulary", "vocabulary"]]],
  [
    "pretrain",
    "Train",
    "train",
    [
      ["blip", "model"],
      ["web", "pairs"],
      ["human", "pairs"]
    ]
  ],
  [
    "filter",
    "Train",
    "train",
    [
      ["pretrain", "model"],
      ["human", "pairs"]
    ]
  ],
  [
    "captioner",
    "Train",
    "train",
    [
      ["pretrain", "model"],
      ["human", "pairs"]
    ]
  ],
  [
    "web_image",
    "ImageEncoder",
    "map",
    [
      ["filter", "model"],
      ["web", "pairs"]
    ]
  ],
  [
    "web_itm",
    "ITM",
    "map",
    [
      ["filter", "model"],
      ["web_image", "pairs"],
      ["web", "pairs"]
    ]
  ],
  [
    "web_clean",
    "Filter",
    "route",
    [
      ["web_itm", "pairs"],
      ["web", "pairs"]
    ]
  ],
  [
    "captions",
    "Captioner",
    "map",
    [
      ["captioner", "model"],
      ["web", "pairs"]
    ]
  ],
  [
    "caption_itm",
    "ITM",
    "map",
    [
      ["filter", "model"],
      ["web_image", "pairs"],
      ["captions", "pairs"]
    ]
  ],
  [
    "captions_clean",
    "Filter",
    "route",
    [
      ["caption_itm", "pairs"],
      ["captions", "pairs"]
    ]
  ],
  [
    "noise_itm",
    "BinaryMetrics",
    "fold",
    [
      ["web_itm", "pairs"],
      ["web", "pairs"]
    ]
  ]
]
const perVariant: ReadonlyArray<readonly [string, string, string, Wires]> = [
  [
    "retrain",
    "Train",
    "train",
    [
      ["blip", "model"],
      ["web_clean", "kept"],
      ["captions_clean", "kept"],
      ["human", "pairs"]
    ]
  ],
  [
    "image",
    "ImageEncoder",
    "map",
    [
      ["retrain", "model"],
      ["unseen", "pairs"]
    ]
  ],
  [
    "text",
    "TextEncoder",
    "map",
    [
      ["retrain", "model"],
      ["unseen", "pairs"]
    ]
  ],
  [
    "recall",
    "RetrievalRecall",
    "fold",
    [
      ["image", "pairs"],
      ["text", "pairs"]
    ]
  ],
  [
    "caption",
    "Captioner",
    "map",
    [
      ["retrain", "model"],
      ["unseen", "pairs"]
    ]
  ],
  [
    "captioning",
    "CaptionMetrics",
    "fold",
    [
      ["caption", "pairs"],
      ["unseen", "pairs"]
    ]
  ]
]

const graph: ReadonlyArray<DrawnNode> = [
  ...shared.map(([id, op, kind, wires]) => ({
    id,
    op,
    kind,
    axes: {},
    inputs: wires.map(([from, port]) => ({ input: port, from, port }))
  })),
  ...seeds.flatMap((seed) =>
    variants.flatMap((data) =>
      perVariant.map(([name, op, kind, wires]) => ({
        id: `${name}[seed=${seed},data=${data}]`,
        op,
        kind,
        axes: { seed, data },
        inputs: wires.map(([from, port]) => ({
          input: port,
          from: perVariant.some(([own]) => own === from) ? `${from}[seed=${seed},data=${data}]` : from,
          port
        }))
      }))
    )
  )
]

const nodeRecord = (node: DrawnNode, random: () => number): NodeRecord => {
  const rows = node.kind === "train" ? 9216 : node.op === "EmojiPairs" ? 6144 : 1024
  const kept = Math.round(6144 * 0.54)
  return {
    op: node.op,
    rows_in: node.kind === "source" ? 0 : rows,
    rows_out: node.kind === "fold" || node.kind === "train" ? 0 : node.kind === "route" ? 6144 : rows,
    rejected: node.id === "web" ? 3 : 0,
    cached: node.kind === "source" || node.id === "vocabulary",
    seconds: node.kind === "train" ? 40 + 30 * random() : 4 * random(),
    artifact: Array.from({ length: 8 }, () =>
      Math.floor(random() * 2 ** 32)
        .toString(16)
        .padStart(8, "0")
    ).join(""),
    ports: node.kind === "route" ? { kept, rejected: 6144 - kept } : node.kind === "source" ? { pairs: rows } : {}
  }
}

const metricsOf = (random: () => number): Record<string, number> => {
  const gain: Record<string, number> = { none: 0, filter: 0.027, captioner: 0.011, both: 0.034 }
  const metrics: Record<string, number> = {
    "noise_itm.roc_auc": 0.913,
    "noise_itm.average_precision": 0.921,
    "pretrain.itc_loss": 1.204,
    "pretrain.itm_loss": 0.412,
    "pretrain.lm_loss": 1.871
  }
  for (const seed of seeds) {
    const luck = 0.01 * (random() - 0.5)
    for (const data of variants) {
      const own = gain[data]! + luck + 0.012 * (random() - 0.5)
      const at = `[seed=${seed},data=${data}]`
      metrics[`recall${at}.image_to_text_r1`] = 0.041 + own
      metrics[`recall${at}.image_to_text_r5`] = 0.13 + 2 * own
      metrics[`recall${at}.text_to_image_r1`] = 0.039 + own
      metrics[`captioning${at}.cider_d`] = 0.62 + 4 * own
      metrics[`captioning${at}.bleu_4`] = 0.11 + own
    }
  }
  return metrics
}

/** A 16 x 16 picture of one colour ramp as uncompressed PNG would need zlib: a tiny GIF is simpler. */
export const tinyGif = Uint8Array.from(
  Buffer.from("R0lGODlhAQABAIAAACpmyP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==", "base64")
)
const tinyUri = `data:image/gif;base64,${Buffer.from(tinyGif).toString("base64")}`

const historyOf = (name: string, start: number, steps: number, random: () => number) => ({
  name,
  entries: Array.from({ length: steps }, (_, step) => ({
    step,
    itc_loss: 1.1 + start * Math.exp(-step / 200) + 0.5 * (random() - 0.5),
    itm_loss: 0.35 + 0.3 * Math.exp(-step / 300) + 0.1 * (random() - 0.5),
    lm_loss: 1.6 + 2 * start * Math.exp(-step / 120) + 0.2 * (random() - 0.5),
    learning_rate: 3e-4 * Math.min(1, step / 60) * 0.5 * (1 + Math.cos((Math.PI * step) / steps))
  }))
})

export const sampleRecord = (): RunRecord => {
  const random = uniform(7)
  return {
    run: "capfilt-ablation-7f3a2c91",
    pipeline: "capfilt-ablation",
    plan: "7f3a2c91e0b74c1d9f6a5b8e3c2d1f0a7f3a2c91e0b74c1d9f6a5b8e3c2d1f0a",
    status: "done",
    seed: 17,
    engine: "onnx",
    started: "2026-11-24T05:12:44.120Z",
    seconds: 2412.4,
    nodes: Object.fromEntries(graph.map((node) => [node.id, nodeRecord(node, random)])),
    metrics: metricsOf(random),
    rows: [],
    artifacts: [{ node: "pretrain", output: "model", type: "model", key: "0" }],
    graph
  }
}

export const samplePage = (): Page => {
  const random = uniform(3)
  const rows = Array.from({ length: 3000 }, () => {
    const flag = random() < 0.5
    const score = Math.min(1, Math.max(0, (flag ? 0.72 : 0.26) + 0.5 * (random() + random() - 1)))
    return { kept: score >= 0.5, flag, score }
  })
  const captions = [
    "person rowing boat",
    "red apple with a green leaf",
    "<script>alert('caption')</script>",
    "man\u202e walking"
  ]
  return {
    record: sampleRecord(),
    command: "npx bootlace run pipelines/capfilt-ablation.yaml --seed 17",
    histories: [
      historyOf("pretrain", 3, 800, random),
      historyOf("filter", 0.6, 200, random),
      ...variants.map((variant) => historyOf(`retrain ${variant}`, 2.6, 800, random))
    ],
    filters: [{ name: "web_clean", flagName: "matched", scoreName: "match_probability", rows }],
    galleries: [
      {
        title: "web_clean: kept",
        note: "6 of 3 318 rows, spread over the scores.",
        cards: captions.map((text, i) => ({
          image: tinyUri,
          lines: [{ text }, { label: "match probability", text: (0.99 - 0.07 * i).toFixed(3), tone: "good" as const }]
        }))
      },
      {
        title: "web_clean: rejected",
        cards: captions.map((text, i) => ({
          image: tinyUri,
          lines: [
            { text },
            { label: "match_probability", text: `${(0.03 + 0.1 * i).toFixed(3)} < 0.5`, tone: "bad" as const }
          ]
        }))
      },
      {
        title: "captions: synthetic beside true",
        cards: captions.map((text) => ({
          image: tinyUri,
          lines: [
            { label: "caption", text: "man rowing a boat", tone: "made" as const },
            { label: "text", text }
          ]
        }))
      }
    ],
    environment: [
      ["node", "24.21.0"],
      ["platform", "linux x64, 2 threads"]
    ],
    attribution:
      "Drawings: Twemoji, CC-BY 4.0, by Twitter, Inc and other contributors.\nNoto Emoji, Apache-2.0, by Google."
  }
}
