/**
 * A post: one drawing as somebody put it on the web: on a tinted ground, shifted, scaled, turned, its hue a little off.
 *
 *   drawing  RGBA, uint8 [64, 64, 4]   ->   post  RGB, uint8 [64, 64, 3]
 *
 * Plain arithmetic on every pixel, so that a post is the same on every machine before it is encoded.
 */
import sharp from "sharp"

export const side = 64

export interface Pose {
  /** Pixels, to the right and down. */
  readonly shift: readonly [number, number]
  readonly scale: number
  /** Radians. */
  readonly rotation: number
  /** Radians about the grey axis. */
  readonly hue: number
  /** RGB behind the drawing. */
  readonly ground: readonly [number, number, number]
}

/** The drawing as it is, on white. */
export const plain: Pose = { shift: [0, 0], scale: 1, rotation: 0, hue: 0, ground: [255, 255, 255] }

const between = (draw: number, low: number, high: number): number => low + draw * (high - low)

/** A pose out of eight draws in [0, 1). Hues turn by 14 degrees at most: a red apple must not become a green one. */
export const poseOf = (draws: ReadonlyArray<number>): Pose => {
  const [x, y, scale, rotation, hue, red, green, blue] = draws as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number
  ]
  return {
    shift: [between(x, -6, 6), between(y, -6, 6)],
    scale: between(scale, 0.75, 1.1),
    rotation: between(rotation, -0.25, 0.25),
    hue: between(hue, -0.25, 0.25),
    ground: [between(red, 190, 255), between(green, 190, 255), between(blue, 190, 255)]
  }
}

/** RGB turned about the grey axis: a 3 x 3 matrix, row after row. */
const hueMatrix = (angle: number): Float64Array => {
  const cos = Math.cos(angle)
  const third = (1 - cos) / 3
  const skew = Math.sin(angle) * Math.sqrt(1 / 3)
  const rows = [
    [cos + third, third - skew, third + skew],
    [third + skew, cos + third, third - skew],
    [third - skew, third + skew, cos + third]
  ]
  return Float64Array.from(rows.flat())
}

/** Premultiplied RGBA of the drawing at a point between its pixels, into `out`; nothing outside of it. */
const sample = (drawing: Uint8Array, x: number, y: number, out: Float64Array): void => {
  out.fill(0)
  const left = Math.floor(x)
  const top = Math.floor(y)
  for (let corner = 0; corner < 4; corner++) {
    const column = left + (corner & 1)
    const row = top + (corner >> 1)
    if (column < 0 || row < 0 || column >= side || row >= side) continue
    const at = (row * side + column) * 4
    const alpha = (1 - Math.abs(x - column)) * (1 - Math.abs(y - row)) * (drawing[at + 3]! / 255)
    for (let channel = 0; channel < 3; channel++) out[channel]! += alpha * drawing[at + channel]!
    out[3]! += alpha
  }
}

export const paint = (drawing: Uint8Array, pose: Pose): Uint8Array => {
  const post = new Uint8Array(side * side * 3)
  const hue = hueMatrix(pose.hue)
  const cos = Math.cos(pose.rotation) / pose.scale
  const sin = Math.sin(pose.rotation) / pose.scale
  const middle = (side - 1) / 2
  const seen = new Float64Array(4)
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const x = column - middle - pose.shift[0]
      const y = row - middle - pose.shift[1]
      sample(drawing, cos * x + sin * y + middle, cos * y - sin * x + middle, seen)
      const at = (row * side + column) * 3
      for (let channel = 0; channel < 3; channel++) {
        const h = 3 * channel
        const turned = hue[h]! * seen[0]! + hue[h + 1]! * seen[1]! + hue[h + 2]! * seen[2]!
        post[at + channel] = Math.round(Math.min(255, Math.max(0, turned + (1 - seen[3]!) * pose.ground[channel]!)))
      }
    }
  }
  return post
}

/** RGBA pixels of a drawing's PNG. */
export const readDrawing = async (path: string): Promise<Uint8Array> => {
  const { data, info } = await sharp(path).ensureAlpha().raw().toBuffer({ resolveWithObject: true })
  if (info.width !== side || info.height !== side || info.channels !== 4)
    throw new Error(`${path}: expected ${side} x ${side} RGBA, got ${info.width} x ${info.height} x ${info.channels}`)
  return data
}

/** JPEG, as photographs travel on the web. */
export const encodePost = (post: Uint8Array): Promise<Uint8Array> =>
  sharp(post, { raw: { width: side, height: side, channels: 3 } })
    .jpeg({ quality: 90, chromaSubsampling: "4:4:4" })
    .toBuffer()
