// Reads `expires_at`. Seconds and milliseconds are both in circulation; a mix-up must neither make
// access eternal nor end it in 1970, so every refusal says which unit was read.
import { firstEpochMilliseconds, readEpoch } from '../../shared/epoch.ts'
import { badRequest } from './api-error.ts'

const dayMs = 86_400_000
/** The longest time a rule may be given for. */
const ruleDaysMax = 90
/** A year, whichever it is. */
const tokenDaysMax = 366
/** Last second of the year 9999: beyond it dates no longer print alike everywhere. */
const lastMs = 253_402_300_799_000

export const toEpochSeconds = (ms: number): number => Math.floor(ms / 1000)

/** Throws 400 when `value` is over already or more than 90 days ahead. */
export function endOfRule(value: number, nowMs: number, where: string): number {
  return endWithin(ruleDaysMax, value, nowMs, where)
}

/** The same for a token: at most a year ahead. */
export function endOfToken(value: number, nowMs: number, where: string): number {
  return endWithin(tokenDaysMax, value, nowMs, where)
}

function endWithin(daysMax: number, value: number, nowMs: number, where: string): number {
  const endMs = readEpoch(value)
  if (endMs <= nowMs) throw badRequest(`${where}: ${describe(value)} is in the past`)
  if (endMs > nowMs + daysMax * dayMs) {
    throw badRequest(`${where}: ${describe(value)} is more than ${daysMax} days ahead`)
  }
  return endMs
}

function describe(value: number): string {
  const unit = value >= firstEpochMilliseconds ? 'milliseconds' : 'seconds'
  const endMs = readEpoch(value)
  const isPrintable = endMs <= lastMs && endMs >= -lastMs
  const date = isPrintable ? `, ${new Date(endMs).toISOString()}` : ''
  return `${value} (read as epoch ${unit}${date})`
}
