// Variables that were probably meant for us: an environment is full of others', so only those are
// told that a slip of the finger makes out of a setting.
import type { Environment } from './load-config.ts'
import { type SettingName, settingNames } from './settings.ts'

export interface LikelyTypo {
  readonly given: string
  readonly meant: SettingName
}

/** Short names are a slip away from far too much, as PORT is from PORTS. */
const lengthMin = 8
const slipsMax = 2

/** For a warning at start. Names alone; values are not looked at. */
export function likelyTypos(env: Environment): LikelyTypo[] {
  const known = new Set<string>(settingNames)
  return Object.keys(env).flatMap((given) => {
    if (known.has(given) || env[given] === undefined) return []
    const upper = given.toUpperCase().replaceAll('-', '_')
    const meant = settingNames.find(
      (name) => name.length >= lengthMin && isWithinSlips(upper, name),
    )
    return meant === undefined ? [] : [{ given, meant }]
  })
}

/** Levenshtein's distance, row by row, given up where the lengths alone rule it out. */
function isWithinSlips(one: string, other: string): boolean {
  if (Math.abs(one.length - other.length) > slipsMax) return false
  let row = Array.from({ length: other.length + 1 }, (_cell, index) => index)
  for (let at = 1; at <= one.length; at += 1) {
    const next = [at]
    for (let of = 1; of <= other.length; of += 1) {
      const replaced = row[of - 1]! + (one[at - 1] === other[of - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[of]! + 1, next[of - 1]! + 1))
    }
    row = next
  }
  return row[other.length]! <= slipsMax
}
