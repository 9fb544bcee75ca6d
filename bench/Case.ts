/**
 * What a benchmark is: the same work done by us and by peers, each in a process of its own that ends with one JSON line.
 *
 * `prepare` writes what both sides read into a folder. `differs` looks at what both sides gave, so that nothing is faster by
 * doing less.
 */

/** The last line that a timed process prints. */
export interface Result {
  /** One time of the case's unit each. */
  readonly seconds: ReadonlyArray<number>
  /** Peak resident memory. */
  readonly mb: number
  /** What was computed, for `differs`. */
  readonly outputs: unknown
  /** A peer's name and version. */
  readonly peer?: string
}

export interface At {
  readonly folder: string
  readonly threads: string
  readonly steps: string
}

/** A program to compare with: a file of bench/peers, Python unless it says otherwise, or ourselves in another setting. */
export interface Peer {
  /** For `--peers`. */
  readonly name: string
  /** Modules that it imports: Python's, or of a file for Node those of bench/peers/package.json. */
  readonly modules: ReadonlyArray<string>
  /** A file of bench/peers that pins them. */
  readonly requirements: string
  /** Runs only where `--peers` names it. */
  readonly named?: true
  /** A program that has to be on the path. */
  readonly program?: string
  /** It is a file of bench, run by this Node. */
  readonly self?: true
  /** The file and its arguments. */
  readonly command: (at: At) => ReadonlyArray<string>
}

export interface Case {
  readonly name: string
  readonly suite: "train" | "infer" | "data"
  /** What a time is the time of, in words: `a step`. */
  readonly unit: string
  /** How many of what are in it, for a rate: 64 captions. */
  readonly items?: readonly [count: number, what: string]
  /** Times taken in one process, where --steps doesn't say. */
  readonly steps: number
  /** Runs only where it is named. */
  readonly named?: true
  /** Floating-point operations of the matrix products in it. */
  readonly flops?: number
  readonly prepare?: (folder: string) => Promise<void>
  /** A file of bench and its arguments, run by this Node. */
  readonly ours: (at: At) => ReadonlyArray<string>
  readonly peers: ReadonlyArray<Peer>
  /** What is not the same on both sides, in words; undefined where they agree. */
  readonly differs: (ours: unknown, peer: unknown) => string | undefined
}
