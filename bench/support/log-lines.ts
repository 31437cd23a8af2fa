// Latchkey's log, summed up.

/** A line at error is a bug of ours that was met, even where nobody suffered from it. */
export const errorsOf = (logLines: Readonly<Record<string, number>>): string[] =>
  Object.entries(logLines)
    .filter(([text]) => text.startsWith('error'))
    .map(([text, count]) => `${count} times in the log: ${text}`)

/** Node's own, where a scenario looks into the process. */
const inspectorWords = /^(?:Debugger |For help, see: https:..nodejs)/

/** Lines at warn and above, by what they say. */
export function logLinesByText(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const line of lines) {
    if (inspectorWords.test(line)) continue
    const { level, msg } = parsed(line)
    if (level !== 'warn' && level !== 'error') continue
    const key = `${level}: ${String(msg).replace(/\d+/g, 'n')}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

function parsed(line: string): { level?: unknown; msg?: unknown } {
  try {
    return JSON.parse(line) as { level?: unknown; msg?: unknown }
  } catch {
    return { level: 'error', msg: line }
  }
}
