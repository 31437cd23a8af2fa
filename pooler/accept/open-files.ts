// How many clients and servers the process can have at all: each is an open file, and where the
// limit of open files is met, Node closes newcomers without a word (EMFILE).
import { readFileSync } from 'node:fs'
import { openFilesReserved } from '../config/limits.ts'

export interface OpenFileShares {
  readonly clientsMax: number
  readonly serversMax: number
}

/** RLIMIT_NOFILE as in force (Node raises the soft limit at start); null: unlimited or unknown. */
export function readOpenFilesMax(limitsFile = '/proc/self/limits'): number | null {
  let text: string
  try {
    text = readFileSync(limitsFile, 'latin1')
  } catch {
    return readReportedOpenFilesMax()
  }
  const soft = /^Max open files +(\d+) /m.exec(text)?.[1]
  return soft === undefined ? null : Number(soft)
}

/** Behind the reserve two thirds are the clients', at most as many as wanted; servers get the rest. */
export function shareOpenFiles(openFilesMax: number | null, clientsWanted: number): OpenFileShares {
  if (openFilesMax === null) {
    return { clientsMax: clientsWanted, serversMax: Number.MAX_SAFE_INTEGER }
  }
  const spare = Math.max(2, openFilesMax - openFilesReserved)
  const clientsMax = Math.min(clientsWanted, Math.floor((spare * 2) / 3))
  return { clientsMax, serversMax: spare - clientsMax }
}

/** Where there is no /proc; the report is slow to write, and read once. */
function readReportedOpenFilesMax(): number | null {
  const report: unknown = process.report?.getReport()
  const limits = (report as { userLimits?: { open_files?: { soft?: unknown } } }).userLimits
  const soft = limits?.open_files?.soft
  return typeof soft === 'number' ? soft : null
}
