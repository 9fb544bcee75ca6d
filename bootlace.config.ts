/** Operators of this project's own pipelines, beside the built-in ones. */
import { defineConfig } from "bootlace"
import { EmojiPairs } from "./pipelines/emoji/EmojiPairs.ts"

export default defineConfig({
  operators: [EmojiPairs],
  attribution: {
    EmojiPairs:
      "Drawings: Noto Emoji, Google Inc., Apache License 2.0; Twemoji, Twitter, Inc and other contributors, CC-BY 4.0 (https://creativecommons.org/licenses/by/4.0/), shown resized and in posts tinted, shifted, scaled and turned. Names and tags: emojibase, Miles Johnson, MIT."
  }
})
