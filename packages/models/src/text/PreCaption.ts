/** What BLIP does to a caption before its tokenizer sees it (its code's `pre_caption`). */
export const preCaption = (caption: string, max_words = 30): string =>
  caption
    .toLowerCase()
    .replace(/[.!"()*#:;~]/g, " ")
    .replace(/\s{2,}/g, " ")
    .replace(/\n+$/, "")
    .replace(/^ +| +$/g, "")
    .split(" ")
    .slice(0, max_words)
    .join(" ")
