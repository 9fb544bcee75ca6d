/** Operators of this project's own pipelines, beside the built-in ones. */
import { EmojiPairs } from "./pipelines/emoji/EmojiPairs.ts"

export default { operators: [EmojiPairs] }
