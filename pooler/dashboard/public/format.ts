// Times, amounts and names as people read them. Pure; the locale is the browser's where none is given.

const units: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
]

/** `in 3 hours`, `5 minutes ago`; `now` within five seconds. */
export function relativeTime(atMs: number, nowMs: number, locale?: string): string {
  const seconds = Math.round((atMs - nowMs) / 1000)
  if (Math.abs(seconds) < 5) return 'now'
  const [unit, size] = units.find(([, one]) => Math.abs(seconds) >= one) ?? ['second', 1]
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'always' })
  return format.format(Math.round(seconds / size), unit)
}

/** Date, time and zone. */
export function absoluteTime(atMs: number, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'long' }).format(atMs)
}

/** `1 h 5 min`: the two largest parts. */
export function duration(ms: number): string {
  const parts: readonly (readonly [string, number])[] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ]
  const first = parts.findIndex(([, size]) => ms >= size)
  if (first < 0) return `${Math.round(ms)} ms`
  const [unit, size] = parts[first]!
  const whole = `${Math.floor(ms / size)} ${unit}`
  const next = parts[first + 1]
  const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1])
  return rest === 0 || next === undefined ? whole : `${whole} ${rest} ${next[0]}`
}

export function bytes(count: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = count
  let at = 0
  while (value >= 1000 && at < names.length - 1) {
    value /= 1000
    at += 1
  }
  return `${at === 0 ? value : value.toPrecision(3)} ${names[at]}`
}

/** Three digits are enough for a figure that moves. */
export function figure(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toPrecision(3)} k`
  if (value >= 100 || Number.isInteger(value)) return String(Math.round(value))
  return value.toPrecision(2)
}

/** Milliseconds below a second, seconds above; a dash where nothing was measured. */
export function latency(seconds: number | null): string {
  if (seconds === null) return '–'
  if (seconds < 1) return `${figure(seconds * 1000)} ms`
  return `${figure(seconds)} s`
}

const membershipNames: Readonly<Record<string, string>> = {
  owner: 'Owner',
  administrator: 'Administrator',
  developer: 'Developer',
  read_only: 'Read only',
  guest: 'Guest',
}

export const membershipName = (role: string): string => membershipNames[role] ?? role

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`
