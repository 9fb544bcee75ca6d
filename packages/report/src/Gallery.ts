/** Images beside what is said about them. An image is a data URI made by `imageUri`, never an address. */
import { clip, html } from "./Html.ts"
import type { Html } from "./Html.ts"

export interface Line {
  /** The small word before it: a column, a rank, a reason. */
  readonly label?: string
  readonly text: string
  readonly tone?: "plain" | "good" | "bad" | "made" | "quiet"
}
export interface Card {
  /** `data:image/...`, or undefined where the image couldn't be shown. */
  readonly image?: string
  readonly lines: ReadonlyArray<Line>
}
export interface Gallery {
  readonly title: string
  readonly note?: string
  readonly cards: ReadonlyArray<Card>
}

const signatures: ReadonlyArray<readonly [string, (bytes: Uint8Array) => boolean]> = [
  ["image/png", (b) => b[0] === 0x89 && b[1] === 0x50 && b[2] === 0x4e && b[3] === 0x47],
  ["image/jpeg", (b) => b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff],
  ["image/gif", (b) => b[0] === 0x47 && b[1] === 0x49 && b[2] === 0x46 && b[3] === 0x38],
  [
    "image/webp",
    (b) => b[0] === 0x52 && b[1] === 0x49 && b[2] === 0x46 && b[3] === 0x46 && b[8] === 0x57 && b[9] === 0x45
  ]
]

/** The bytes as a data URI; undefined for what a browser doesn't show safely. The type comes from the bytes, not from a name. */
export const imageUri = (bytes: Uint8Array): string | undefined => {
  const type = signatures.find(([, matches]) => matches(bytes))?.[0]
  return type === undefined ? undefined : `data:${type};base64,${Buffer.from(bytes).toString("base64")}`
}

const drawLine = (line: Line): Html =>
  html`<p class="${line.tone ?? "plain"}">
    ${line.label === undefined ? undefined : html`<span class="tag">${line.label}</span> `}${clip(line.text, 160)}
  </p>`

const drawCard = (card: Card): Html =>
  html`<li class="card">
    ${
      card.image === undefined
        ? html`<div class="picture missing">no picture</div>`
        : html`<div class="picture"><img src="${card.image}" alt="" loading="lazy" /></div>`
    }
    <div class="said">${card.lines.map(drawLine)}</div>
  </li>`

export const galleryBlock = (gallery: Gallery): Html | undefined =>
  gallery.cards.length === 0
    ? undefined
    : html`<section class="gallery">
        <h3>${gallery.title}</h3>
        ${gallery.note === undefined ? undefined : html`<p class="caption">${gallery.note}</p>`}
        <ul class="cards">
          ${gallery.cards.map(drawCard)}
        </ul>
      </section>`
