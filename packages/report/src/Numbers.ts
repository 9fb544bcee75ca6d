/** Numbers as a person reads them: enough digits to compare, none to drown in; a true minus sign; units where there are any. */

const minus = (text: string): string => text.replace("-", "\u2212")

const grouped = (text: string): string => text.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f")

/** `12 345`. */
export const count = (n: number): string => minus(grouped(String(Math.round(n))))

/** About four significant digits: `0.9132`, `12.35`, `1 234`, `1.2e-7`. */
export const number = (value: number): string => {
  if (!Number.isFinite(value)) return minus(String(value))
  const size = Math.abs(value)
  if (size === 0) return "0"
  if (size < 1e-4 || size >= 1e7) return minus(value.toExponential(1))
  if (Number.isInteger(value)) return count(value)
  if (size >= 1000) return count(value)
  const digits = size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 ? 3 : 4
  return minus(value.toFixed(digits))
}

/** A difference always shows its sign. */
export const signed = (value: number): string => (value > 0 ? `+${number(value)}` : number(value))

/** `91.3 %`. */
export const percent = (share: number): string =>
  Number.isFinite(share) ? `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)} %` : "\u2013"

/** `340 ms`, `7.2 s`, `4 min 05 s`, `2 h 07 min`. */
export const duration = (seconds: number): string => {
  if (!Number.isFinite(seconds) || seconds < 0) return "\u2013"
  if (seconds < 0.9995) return `${Math.round(1000 * seconds)} ms`
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const two = (n: number) => String(n).padStart(2, "0")
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`
}

/** `1.4 MiB`. */
export const bytes = (size: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"]
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(size) / 10))
  const value = size / 2 ** (10 * power)
  return `${power === 0 ? value : value.toFixed(value < 9.95 ? 1 : 0)} ${units[power]}`
}
