// The texts of several workers as one: sums, but for what is the same for all or is a worker's own.

export interface WorkerText {
  /** Its place among the workers: the label `worker` where figures are its own. */
  readonly slot: number
  readonly text: string
}

interface Family {
  readonly head: string
  /** A part that is missing from the sum would look as if all had been counted anew. */
  readonly isSumOfCounts: boolean
  readonly samples: Map<string, number>
}

/** The same everywhere, or the worst of all. */
const greatest = new Set([
  'pooler_servers_max',
  'pooler_tenant_servers_max',
  'pooler_oldest_waiter_seconds',
  'pooler_backoff_seconds',
  'pooler_draining',
  'pooler_build_info',
  'pooler_sealed_secrets',
])
const ownPrefixes = [
  'pooler_start_time_',
  'pooler_uptime_',
  'pooler_event_loop_',
  'pooler_cpu_',
  'pooler_memory_',
]

/** Each direct client may have its one server, in whichever worker it is. */
const isGreatest = (name: string, key: string): boolean =>
  greatest.has(name) && !(name === 'pooler_servers_max' && key.includes(',mode="direct"'))

/**
 * `silent`: workers whose text is missing; what all have counted together is not known then, and left out.
 * Texts are as MetricsText writes them, without timestamps.
 */
export function mergeMetrics(parts: readonly WorkerText[], silent: number): string {
  const families = new Map<string, Family>()
  for (const { slot, text } of parts) addText(families, slot, text)
  let merged = ''
  for (const { head, samples, isSumOfCounts } of families.values()) {
    merged += head
    if (silent === 0 || !isSumOfCounts)
      for (const [key, value] of samples) merged += `${key} ${value}\n`
    merged += '\n'
  }
  return `${merged}# HELP pooler_workers Workers, by whether these figures have theirs in them.
# TYPE pooler_workers gauge
pooler_workers{state="answered"} ${parts.length}
pooler_workers{state="silent"} ${silent}
`
}

function addText(families: Map<string, Family>, slot: number, text: string): void {
  let name = ''
  let family = newFamily('', false)
  let isOwn = false
  const lines = text.split('\n')
  for (const [at, line] of lines.entries()) {
    if (line.startsWith('# HELP ')) {
      name = line.split(' ', 3)[2] ?? ''
      isOwn = ownPrefixes.some((prefix) => name.startsWith(prefix))
      family = families.get(name) ?? newFamily(`${line}\n${lines[at + 1]}\n`, isOwn)
      families.set(name, family)
    } else if (line !== '' && !line.startsWith('#')) {
      const gapAt = line.lastIndexOf(' ')
      const key = isOwn ? withWorker(line.slice(0, gapAt), slot) : line.slice(0, gapAt)
      const value = Number(line.slice(gapAt + 1))
      const before = family.samples.get(key)
      if (before === undefined) family.samples.set(key, value)
      else family.samples.set(key, isGreatest(name, key) ? Math.max(before, value) : before + value)
    }
  }
}

const newFamily = (head: string, isOwn: boolean): Family => {
  return { head, isSumOfCounts: !(isOwn || head.endsWith(' gauge\n')), samples: new Map() }
}

function withWorker(key: string, slot: number): string {
  const braceAt = key.indexOf('{')
  if (braceAt === -1) return `${key}{worker="${slot}"}`
  return `${key.slice(0, braceAt)}{worker="${slot}",${key.slice(braceAt + 1)}`
}
