// What can be asked of another process by its number. A number alone names nobody for long: after a
// restart of a container the same numbers come again.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'

/** Its command line, or null when no such process runs (one that ended and was not collected does not). */
export async function commandLineOf(processId: number): Promise<string | null> {
  if (!isAlive(processId)) return null
  if (process.platform === 'linux') {
    const bytes = await readFile(`/proc/${processId}/cmdline`, 'utf8').catch(() => '')
    return bytes === '' ? null : bytes.replaceAll('\0', ' ').trim()
  }
  return new Promise((resolve) => {
    execFile('/bin/ps', ['-o', 'command=', '-p', String(processId)], (error, output) => {
      resolve(error === null ? output.trim() : null)
    })
  })
}

/** Tells this life of the process number from another one; empty where the system does not say. */
export async function startMarkOf(processId: number): Promise<string> {
  const status = await readFile(`/proc/${processId}/stat`, 'utf8').catch(() => '')
  // proc(5): field 22, counted behind the name in parentheses, which may itself have blanks.
  return status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

export function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
