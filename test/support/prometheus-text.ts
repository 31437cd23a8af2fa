// A strict reader of the Prometheus text format 0.0.4 that also holds a text to promtool's rules.

export interface ParsedSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ParsedFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: ParsedSample[]
}

const namePattern = /^[a-z][a-z0-9_]*$/
const samplePattern = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/i
const labelPattern = /([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy

/** Throws on the first line that breaks the format, or family that breaks a rule of promtool's. */
export function parsePrometheusText(text: string): Map<string, ParsedFamily> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line does not end')
  const families = new Map<string, ParsedFamily>()
  let help: { name: string; text: string } | null = null
  let family: ParsedFamily | null = null
  for (const line of text.split('\n').slice(0, -1)) {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (keyword === 'HELP') {
      help = { name: name!, text: rest! }
    } else if (keyword === 'TYPE') {
      if (help?.name !== name) throw new Error(`TYPE without HELP in front: ${line}`)
      if (families.has(name!)) throw new Error(`a second family ${name}`)
      family = { name: name!, type: rest!, help: help!.text, samples: [] }
      families.set(name!, family)
    } else {
      if (family === null) throw new Error(`a sample before any family: ${line}`)
      family.samples.push(parseSample(line))
    }
  }
  for (const each of families.values()) checkFamily(each)
  return families
}

function parseSample(line: string): ParsedSample {
  const [, name, labelText = '', valueText] = samplePattern.exec(line) ?? []
  if (name === undefined) throw new Error(`not a sample: ${line}`)
  const labels: Record<string, string> = {}
  labelPattern.lastIndex = 0
  let end = 0
  for (let match = labelPattern.exec(labelText); match; match = labelPattern.exec(labelText)) {
    if (match[1]! in labels) throw new Error(`label ${match[1]} twice: ${line}`)
    labels[match[1]!] = match[2]!.replace(/\\(.)/g, (_escape, char) => (char === 'n' ? '\n' : char))
    end = labelPattern.lastIndex
  }
  if (end !== labelText.length) throw new Error(`labels cannot be read: ${line}`)
  const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText)
  if (Number.isNaN(value)) throw new Error(`not a value: ${line}`)
  return { name, labels, value }
}

function checkFamily({ name, type, samples }: ParsedFamily): void {
  const fail = (rule: string): never => {
    throw new Error(`${name}: ${rule}`)
  }
  if (!namePattern.test(name)) fail('its name has other characters than a-z, 0-9 and _')
  if (!['counter', 'gauge', 'histogram'].includes(type)) fail(`unknown type ${type}`)
  if ((type === 'counter') !== name.endsWith('_total')) fail('_total is for counters and only them')
  if (/_(ms|milliseconds|minutes|kb|percent)(_|$)/.test(name)) fail('not a base unit')
  if (/_(bucket|sum|count)$/.test(name)) fail('its name ends as a part of a histogram does')
  const allowed = type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
  const seen = new Set<string>()
  for (const sample of samples) {
    if (!allowed.includes(sample.name)) fail(`a sample of ${sample.name} stands under it`)
    const isBucket = sample.name.endsWith('_bucket')
    if (isBucket !== 'le' in sample.labels) fail('le is for buckets and only them')
    const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`
    if (seen.has(key)) fail(`the series ${key} twice`)
    seen.add(key)
    if (type === 'counter' && sample.value < 0) fail('a counter below 0')
  }
  if (type === 'histogram') checkHistogram(samples, fail)
}

function checkHistogram(samples: readonly ParsedSample[], fail: (rule: string) => never): void {
  let last = { bound: Number.NEGATIVE_INFINITY, count: 0 }
  for (const { name, labels, value } of samples) {
    if (name.endsWith('_bucket')) {
      const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le)
      if (!(bound > last.bound)) fail('bounds do not ascend')
      if (value < last.count) fail('buckets are not cumulative')
      last = { bound, count: value }
    } else if (name.endsWith('_count')) {
      if (last.bound !== Number.POSITIVE_INFINITY) fail('no bucket for +Inf')
      if (value !== last.count) fail('the count differs from the bucket for +Inf')
      last = { bound: Number.NEGATIVE_INFINITY, count: 0 }
    }
  }
}
