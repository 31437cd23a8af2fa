// Times as people type them: how long from now (`8h`, `30d`), or a date.
import { CliError } from './cli-error.ts'

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const

function spanMs(text: string): number | null {
  const match = /^(\d{1,6})([mhdw])$/.exec(text)
  return match === null ? null : Number(match[1]) * unitMs[match[2] as keyof typeof unitMs]
}

function dateMs(text: string): number | null {
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? null : ms
}

const unclear = (text: string): CliError =>
  new CliError('usage', `"${text}" is no time`, 'like 30m, 8h, 14d, 2w, or 2026-12-31T18:00:00Z')

/** Epoch seconds of an end. */
export function endOf(text: string, nowMs: number): number {
  const span = spanMs(text)
  const ms = span === null ? dateMs(text) : nowMs + span
  if (ms === null) throw unclear(text)
  return Math.floor(ms / 1000)
}

/** ISO time of a beginning: a span lies in the past. */
export function startOf(text: string | undefined, nowMs: number): string | undefined {
  if (text === undefined) return undefined
  const span = spanMs(text)
  const ms = span === null ? dateMs(text) : nowMs - span
  if (ms === null) throw unclear(text)
  return new Date(ms).toISOString()
}

/** For tables. */
export const timeText = (seconds: number | null | undefined): string | null =>
  seconds == null ? null : new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
