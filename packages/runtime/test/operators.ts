/**
 * Small deterministic operators of every kind. `knobs` change how they go about it, never what comes out; `calls` counts what
 * was opened and called.
 */
import {
  columnOf,
  flagColumn,
  floatsOf,
  keyOf,
  makeBatch,
  rowIdHex,
  rowIdsOf,
  scoreColumn,
  sha256,
  tensorColumn,
  textColumn,
  textsOf
} from "@bootlace/data"
import { NodeError, Operator } from "@bootlace/graph"
import type { Files, Registry, SourceBatch } from "@bootlace/graph"
import { Effect, Schema, Stream } from "effect"
import { setTimeout as sleep } from "node:timers/promises"

export const knobs = {
  /** Rows per batch that sources give. */
  batch: (_shard: number, _start: number): number => 7,
  /** Milliseconds that every call takes. */
  delay: 0,
  /** Milliseconds that Embed takes beside. */
  computing: 0,
  /** Called before every call of an operator and every batch of a source; may throw. */
  onCall: (): void => undefined,
  /** A train fails to restore, with its state in pieces. */
  refuseRestore: false,
  /** What the files that Start reads hash to. */
  content: "a",
  /** Rows that sources promise and don't give. */
  lostRows: 0
}
export const resetKnobs = (): void => {
  knobs.batch = () => 7
  knobs.delay = 0
  knobs.computing = 0
  knobs.onCall = () => undefined
  knobs.refuseRestore = false
  knobs.content = "a"
  knobs.lostRows = 0
}

export const calls: Record<string, number> = {}
const count = (name: string): void => {
  calls[name] = (calls[name] ?? 0) + 1
}
export const resetCalls = (): void => {
  for (const name of Object.keys(calls)) delete calls[name]
}
/** Counts how many calls of an operator were under way together, at most, as `<name>.together`. */
let underWay = 0
const together =
  (name: string) =>
  <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      underWay++
      calls[`${name}.together`] = Math.max(calls[`${name}.together`] ?? 0, underWay)
      return Effect.ensuring(
        call,
        Effect.sync(() => underWay--)
      )
    })
const pause = Effect.suspend(() => {
  knobs.onCall()
  return knobs.delay === 0 ? Effect.void : Effect.sleep(knobs.delay)
})

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const parsed = (files: Files, name: string) => JSON.parse(new TextDecoder().decode(files[name]))

const withDefault = <S extends Schema.Top>(schema: S, value: S["Encoded"]) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(value))(schema)

/** `shards` shards of `rows` texts `<word> <n>` and scores; every `bad`-th row of a shard can't be read. */
export const Numbers = Operator.source({
  name: "Numbers",
  version: 1,
  description: "Counts.",
  config: Schema.Struct({
    shards: withDefault(Schema.Int, 2),
    rows: withDefault(Schema.Int, 20),
    bad: withDefault(Schema.Int, 0),
    word: withDefault(Schema.String, "row")
  }),
  inputs: {},
  ports: { rows: { text: "text", value: "score" } },
  body: {
    open: ({ config: { shards, rows, bad, word } }) =>
      Effect.sync(() => {
        count("Numbers.open")
        const shardKeys = Array.from({ length: shards }, (_, i) => ({
          key: sha256(`${word} ${rows} ${bad} ${i}`),
          rows: rows + knobs.lostRows
        }))
        const read = (shard: number) => {
          count("Numbers.read")
          const batches: Array<SourceBatch> = []
          for (let start = 0; start < rows;) {
            const end = Math.min(rows, start + Math.max(1, knobs.batch(shard, start)))
            const all = Array.from({ length: end - start }, (_, i) => start + i)
            const isBad = (row: number) => bad > 0 && row % bad === bad - 1
            const kept = all.filter((row) => !isBad(row))
            batches.push({
              batch: makeBatch({
                text: textColumn(kept.map((row) => `${word} ${shard}/${row}`)),
                value: scoreColumn(Float32Array.from(kept, (row) => ((row * 37 + shard * 11) % 101) / 100))
              }),
              rejected: all.filter(isBad).map((row) => ({ row, code: "R110", reason: `row ${row} is bad` }))
            })
            start = end
          }
          return Stream.fromIterable(batches, { chunkSize: 1 }).pipe(
            Stream.tap(() => Effect.sync(() => count("Numbers.given"))),
            Stream.tap(() => pause)
          )
        }
        return { content: keyOf(shardKeys), shards: shardKeys, read }
      })
  }
})

/** Length of the text; texts whose number is a multiple of `refuse` are rejected. */
export const Measure = Operator.map({
  name: "Measure",
  version: 1,
  description: "Measures texts.",
  config: Schema.Struct({ refuse: withDefault(Schema.Int, 0) }),
  inputs: { text: "text" },
  outputs: { length: "score" },
  training: { inputs: { text: "text" }, outputs: { length_loss: "loss" } },
  body: {
    open: ({ config }) =>
      Effect.sync(() => {
        count("Measure.open")
        return (batch) =>
          Effect.gen(function* () {
            count("Measure.call")
            yield* pause
            const texts = textsOf(columnOf(batch, "text")).map((each) => each ?? "")
            const isBad = (each: string) => config.refuse > 0 && Number(each.split("/")[1]) % config.refuse === 0
            const good = texts.filter((each) => !isBad(each))
            return {
              columns: { length: scoreColumn(Float32Array.from(good, (each) => each.length)) },
              rejected: texts.flatMap((each, row) =>
                isBad(each) ? [{ row, code: "R210", reason: `no length for ${each}` }] : []
              )
            }
          })
      })
  }
})

/** Its bits hang on the rows that share a micro-batch, as those of a matrix product may. */
export const Embed = Operator.map({
  name: "Embed",
  version: 1,
  description: "Embeds values.",
  config: Schema.Struct({ batch_size: withDefault(Schema.Int, 4) }),
  inputs: { value: "score" },
  outputs: { embedding: "embedding", tokens: "image_tokens" },
  tensor: true,
  body: {
    batchSize: ({ batch_size }) => batch_size,
    open: () =>
      Effect.sync(() => {
        count("Embed.open")
        return (batch) =>
          Effect.gen(function* () {
            count("Embed.call")
            yield* pause
            if (knobs.computing > 0) yield* Effect.sleep(knobs.computing)
            const values = floatsOf(columnOf(batch, "value"))
            const sum = values.reduce((total, value) => total + value, 0)
            return {
              columns: {
                embedding: tensorColumn(Float32Array.from([...values].flatMap((value, row) => [value, sum, row])), [3]),
                tokens: tensorColumn(Float32Array.from([...values].flatMap((value) => [value, 1, 2, 3])), [2, 2])
              },
              rejected: []
            }
          }).pipe(together("Embed"))
      })
  }
})

/** Reads what is never stored. */
export const TokenScore = Operator.map({
  name: "TokenScore",
  version: 1,
  description: "Scores tokens.",
  config: Schema.Struct({ batch_size: withDefault(Schema.Int, 3) }),
  inputs: { tokens: "image_tokens", length: { column: "score", optional: true } },
  outputs: { score: "score" },
  tensor: true,
  body: {
    batchSize: ({ batch_size }) => batch_size,
    open: () =>
      Effect.succeed((batch) =>
        Effect.sync(() => {
          count("TokenScore.call")
          const tokens = floatsOf(columnOf(batch, "tokens"))
          return {
            columns: { score: scoreColumn(Float32Array.from({ length: batch.numRows }, (_, row) => tokens[row * 4]!)) },
            rejected: []
          }
        })
      )
  }
})

/** Reads what is never stored, and can't start before a threshold is known. */
export const Late = Operator.map({
  name: "Late",
  version: 1,
  description: "Scores tokens against a threshold.",
  config: Schema.Struct({}),
  inputs: { tokens: "image_tokens", threshold: { artifact: "threshold" } },
  outputs: { over: "flag" },
  body: {
    open: ({ artifacts }) =>
      Effect.gen(function* () {
        const file = yield* artifacts["threshold"]!.read("threshold.json")
        const { value } = JSON.parse(new TextDecoder().decode(file)) as { value: number }
        return (batch) =>
          Effect.sync(() => {
            const tokens = floatsOf(columnOf(batch, "tokens"))
            const over = Array.from({ length: batch.numRows }, (_, row) => tokens[row * 4]! >= value)
            return { columns: { over: flagColumn(over) }, rejected: [] }
          })
      })
  }
})

/** `high` for values from `from` on, or from the threshold that is wired. */
export const Split = Operator.route({
  name: "Split",
  version: 1,
  description: "Splits by value.",
  config: Schema.Struct({ from: withDefault(Schema.Finite, 0.5) }),
  inputs: { value: "score", threshold: { artifact: "threshold", optional: true } },
  openInputs: true,
  ports: ["high", "low"],
  body: {
    open: ({ config, artifacts }) =>
      Effect.gen(function* () {
        count("Split.open")
        const file =
          artifacts["threshold"] === undefined ? undefined : yield* artifacts["threshold"].read("threshold.json")
        const from =
          file === undefined ? config.from : (JSON.parse(new TextDecoder().decode(file)) as { value: number }).value
        return (batch) =>
          Effect.sync(() => {
            const values = floatsOf(columnOf(batch, "value"))
            const ports = Uint8Array.from(values, (value) => (value >= from ? 0 : 1))
            const reasons = [...values].flatMap((score, row) =>
              score >= from ? [] : [{ row, reason: "too low", score }]
            )
            return { ports, reasons }
          })
      })
  }
})

/** As many rows as the row's number is mod 3. */
export const Repeat = Operator.expand({
  name: "Repeat",
  version: 1,
  description: "Repeats rows.",
  config: Schema.Struct({}),
  inputs: { text: "text" },
  openInputs: true,
  outputs: { again: "text" },
  body: {
    open: () =>
      Effect.succeed((batch) =>
        Effect.sync(() => {
          const texts = textsOf(columnOf(batch, "text")).map((each) => each ?? "")
          const parents = texts.flatMap((each, row) => Array<number>(Number(each.split("/")[1]) % 3).fill(row))
          return {
            parents: Int32Array.from(parents),
            columns: { again: textColumn(parents.map((row) => `${texts[row]}!`)) },
            rejected: []
          }
        })
      )
  }
})

export const Concat = Operator.union({
  name: "Concat",
  version: 1,
  description: "Concatenates.",
  config: Schema.Struct({}),
  inputs: {}
})

/** Sum and count of scores. */
export const Sum = Operator.fold({
  name: "Sum",
  version: 1,
  description: "Sums.",
  config: Schema.Struct({}),
  inputs: { score: "score" },
  openInputs: true,
  outputs: { metrics: "metrics" },
  body: {
    open: ({ writer }) =>
      Effect.sync(() => {
        count("Sum.open")
        let state = { sum: 0, rows: 0 }
        return {
          step: (_, batch) =>
            Effect.andThen(
              pause,
              Effect.sync(() => {
                count("Sum.step")
                for (const value of floatsOf(columnOf(batch, "score")))
                  state = { sum: Math.fround(state.sum + value), rows: state.rows + 1 }
              })
            ),
          snapshot: Effect.sync(() => ({ "state.json": text(state) })),
          restore: (files) => Effect.sync(() => void (state = parsed(files, "state.json"))),
          finish: Effect.suspend(() => Effect.as(writer.write("metrics.json", text(state)), state))
        }
      })
  }
})

/** Wants tokens, which only a node of the same pass can have. */
export const TokenSum = Operator.fold({
  name: "TokenSum",
  version: 1,
  description: "Counts rows of tokens.",
  config: Schema.Struct({}),
  inputs: { tokens: "image_tokens" },
  outputs: { metrics: "metrics" },
  body: {
    open: () =>
      Effect.sync(() => {
        let rows = 0
        return {
          step: (_, batch) => Effect.sync(() => void (rows += floatsOf(columnOf(batch, "tokens")).length / 4)),
          snapshot: Effect.succeed({}),
          restore: () => Effect.void,
          finish: Effect.sync(() => ({ rows }))
        }
      })
  }
})

/** Every text it saw, in order. */
export const Words = Operator.fold({
  name: "Words",
  version: 1,
  description: "Collects texts.",
  config: Schema.Struct({}),
  inputs: { text: { column: "text", many: true } },
  outputs: { vocabulary: "vocabulary" },
  body: {
    open: ({ writer }) =>
      Effect.sync(() => {
        let words: Array<string | null> = []
        return {
          step: (_, batch) =>
            Effect.andThen(
              pause,
              Effect.sync(() => void words.push(...textsOf(columnOf(batch, "text"))))
            ),
          snapshot: Effect.sync(() => ({ "words.json": text(words) })),
          restore: (files) => Effect.sync(() => void (words = parsed(files, "words.json"))),
          finish: Effect.suspend(() =>
            Effect.as(writer.write("vocab.txt", new TextEncoder().encode(words.join("\n"))), { words: words.length })
          )
        }
      })
  }
})

/** The median of a score. */
export const Median = Operator.fold({
  name: "Median",
  version: 1,
  description: "Finds the median.",
  config: Schema.Struct({}),
  inputs: { value: "score" },
  outputs: { threshold: "threshold" },
  body: {
    open: ({ writer }) =>
      Effect.sync(() => {
        let values: Array<number> = []
        return {
          step: (_, batch) => Effect.sync(() => void values.push(...floatsOf(columnOf(batch, "value")))),
          snapshot: Effect.sync(() => ({ "values.json": text(values) })),
          restore: (files) => Effect.sync(() => void (values = parsed(files, "values.json"))),
          finish: Effect.suspend(() => {
            const value = values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
            return Effect.as(writer.write("threshold.json", text({ column: "value", value })), { median: value })
          })
        }
      })
  }
})

/** A model without rows. */
export const Start = Operator.fold({
  name: "Start",
  version: 1,
  description: "Starts a model.",
  config: Schema.Struct({ size: withDefault(Schema.Int, 3), path: Schema.optionalKey(Schema.String) }),
  inputs: {},
  outputs: { model: "model" },
  random: true,
  body: {
    content: ({ config }) => Effect.succeed(config.path === undefined ? undefined : knobs.content),
    open: ({ writer, config, seed }) =>
      Effect.succeed({
        step: () => Effect.die("it has no rows"),
        snapshot: Effect.succeed({}),
        restore: () => Effect.void,
        finish: Effect.as(writer.write("model.json", text(Array.from({ length: config.size }, (_, i) => seed + i))), {})
      })
  }
})

/** Adds the number of a row to a weight at every step; which row follows from (seed, step). */
export const Learn = Operator.train({
  name: "Learn",
  version: 1,
  description: "Learns.",
  config: Schema.Struct({
    steps: withDefault(Schema.Int, 20),
    every: withDefault(Schema.Int, 5),
    nan_at: withDefault(Schema.Int, -1)
  }),
  inputs: { pairs: { stream: { text: "text" }, many: true } },
  outputs: { model: "model" },
  random: true,
  tensor: true,
  body: {
    checkpointEvery: ({ every }) => every,
    open: ({ writer, config, seed, datasets, artifacts }) =>
      Effect.gen(function* () {
        count("Learn.open")
        const pairs = datasets["pairs"]!
        const init = JSON.parse(
          new TextDecoder().decode(yield* artifacts["init"]!.read("model.json"))
        ) as ReadonlyArray<number>
        let state = { weights: [...init], seen: [] as Array<string> }
        return {
          steps: config.steps,
          step: (step) =>
            Effect.gen(function* () {
              count("Learn.step")
              yield* pause
              const row = (step * 7 + seed) % pairs.numRows
              const batch = yield* pairs.rows(Int32Array.of(row, (row + 1) % pairs.numRows))
              const texts = textsOf(columnOf(batch, "text"))
              const weights = state.weights.map((weight, i) => Math.fround(weight * 0.9 + (texts[0]?.length ?? 0) + i))
              state = { weights, seen: [...state.seen, ...texts.map(String), rowIdHex(rowIdsOf(batch), 0)] }
              return { loss: step === config.nan_at ? NaN : weights[0]!, learning_rate: 0.1 }
            }),
          snapshot: Effect.sync(() => ({ "state.json": text(state) })),
          restore: (files) =>
            Effect.suspend(() => {
              state = parsed(files, "state.json")
              if (knobs.refuseRestore) {
                state = { weights: [], seen: ["in pieces"] }
                return Effect.fail(new NodeError({ code: "R310", node: "learn", detail: "it doesn't fit" }))
              }
              return Effect.void
            }),
          finish: Effect.suspend(() => Effect.as(writer.write("model.json", text(state)), { last: state.weights[0]! }))
        }
      })
  }
})

/** Operators that break promises. */
export const Faulty = Operator.map({
  name: "Faulty",
  version: 1,
  description: "Fails.",
  config: Schema.Struct({
    mode: Schema.Literals([
      "throws",
      "dies",
      "late",
      "fails",
      "never",
      "short",
      "long",
      "nameless",
      "twice",
      "outside",
      "opens"
    ])
  }),
  inputs: { text: "text" },
  outputs: { out: "score" },
  body: {
    open: ({ config, node }) => {
      if (config.mode === "opens") throw new Error("no such device")
      return Effect.succeed((batch) => {
        const scores = (rows: number) => scoreColumn(new Float32Array(rows))
        const bad = (row: number) => ({ row, code: "R211", reason: "bad" })
        switch (config.mode) {
          case "throws":
            throw new Error("out of luck")
          case "dies":
            return Effect.die(new Error("out of luck"))
          case "late":
            return Effect.promise(() => sleep(20).then(() => Promise.reject(new Error("out of luck"))))
          case "fails":
            return Effect.fail(new NodeError({ code: "R212", node, row: 3, detail: "no good" }))
          case "never":
            return Effect.never
          case "short":
            return Effect.succeed({ columns: { out: scores(batch.numRows - 1) }, rejected: [] })
          case "long":
            return Effect.succeed({ columns: { out: scores(batch.numRows + 1) }, rejected: [] })
          case "twice":
            return Effect.succeed({ columns: { out: scores(batch.numRows - 2) }, rejected: [bad(0), bad(0)] })
          case "outside":
            return Effect.succeed({ columns: { out: scores(batch.numRows - 1) }, rejected: [bad(batch.numRows)] })
          default:
            return Effect.succeed({ columns: {}, rejected: [] })
        }
      })
    }
  }
})

export const registry: Registry = {
  Numbers,
  Measure,
  Embed,
  TokenScore,
  Late,
  Split,
  Repeat,
  Concat,
  Sum,
  TokenSum,
  Words,
  Median,
  Start,
  Learn,
  Faulty
}
