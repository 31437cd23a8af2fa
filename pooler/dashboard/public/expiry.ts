// When access ends: presets, and a time of one's own. The API takes epoch seconds, at most 90 days
// ahead for a rule and a year for a token. Pure.

export interface ExpiryChoice {
  /** A preset's seconds as text, `custom` or `never`. */
  readonly preset: string
  /** Of `custom`: what an input of type datetime-local holds, in local time. */
  readonly custom: string
}

const hour = 3600
const day = 24 * hour

export const rulePresets: readonly (readonly [label: string, seconds: number])[] = [
  ['15 minutes', 900],
  ['1 hour', hour],
  ['4 hours', 4 * hour],
  ['8 hours', 8 * hour],
  ['1 day', day],
  ['7 days', 7 * day],
  ['30 days', 30 * day],
  ['90 days', 90 * day],
]

export const tokenPresets: readonly (readonly [label: string, seconds: number])[] = [
  ['1 day', day],
  ['7 days', 7 * day],
  ['30 days', 30 * day],
  ['90 days', 90 * day],
  ['1 year', 365 * day],
]

/** The server's clock may be behind ours: a preset of exactly the longest time must not be over it. */
const marginSeconds = 60

export interface ReadExpiry {
  /** null: no end. */
  readonly expiresAt: number | null
  readonly fault: string | null
}

export function readExpiry(choice: ExpiryChoice, nowMs: number, daysMax: number): ReadExpiry {
  const nowSeconds = Math.floor(nowMs / 1000)
  if (choice.preset === 'never') return { expiresAt: null, fault: null }
  if (choice.preset !== 'custom') {
    const seconds = Math.min(Number(choice.preset), daysMax * day - marginSeconds)
    return { expiresAt: nowSeconds + seconds, fault: null }
  }
  const atMs = Date.parse(choice.custom)
  if (choice.custom === '' || Number.isNaN(atMs)) {
    return { expiresAt: null, fault: 'Choose a date and a time' }
  }
  const expiresAt = Math.floor(atMs / 1000)
  if (expiresAt <= nowSeconds) return { expiresAt, fault: 'This is in the past' }
  if (expiresAt > nowSeconds + daysMax * day) {
    return { expiresAt, fault: `At most ${daysMax} days ahead` }
  }
  return { expiresAt, fault: null }
}

/** For an input of type datetime-local. */
export function localInput(atMs: number): string {
  const at = new Date(atMs)
  const two = (part: number) => String(part).padStart(2, '0')
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${date}T${two(at.getHours())}:${two(at.getMinutes())}`
}
