import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readOpenFilesMax, shareOpenFiles } from '../../../pooler/accept/open-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'latchkey-open-files-'))
afterAll(() => rmSync(folder, { recursive: true }))

function limitsFile(openFilesLine: string): string {
  const file = join(folder, 'limits')
  writeFileSync(
    file,
    [
      'Limit                     Soft Limit           Hard Limit           Units     ',
      'Max processes             63000                63000                processes ',
      openFilesLine,
      'Max locked memory         8388608              8388608              bytes     ',
    ].join('\n'),
  )
  return file
}

test('the soft limit of open files is read', () => {
  const line = 'Max open files            1024                 1048576              files     '
  expect(readOpenFilesMax(limitsFile(line))).toBe(1024)
})

test('unlimited is no number', () => {
  const line = 'Max open files            unlimited            unlimited            files     '
  expect(readOpenFilesMax(limitsFile(line))).toBeNull()
})

test('without that file the process’s own report tells', () => {
  const limit = readOpenFilesMax(join(folder, 'missing'))
  expect(limit === null || limit > 0).toBe(true)
  if (process.platform === 'linux') expect(limit).toBe(readOpenFilesMax())
})

test('clients, servers and the reserve together stay below the limit', () => {
  for (const openFilesMax of [256, 1_024, 65_536, 1_048_576]) {
    const { clientsMax, serversMax } = shareOpenFiles(openFilesMax, 10_000)
    expect(clientsMax + serversMax + 128).toBeLessThanOrEqual(openFilesMax)
    expect(clientsMax).toBeGreaterThan(0)
    expect(serversMax).toBeGreaterThanOrEqual(clientsMax / 2)
  }
})

test('clients get what was wanted where files are plenty, and two thirds where not', () => {
  expect(shareOpenFiles(1_048_576, 10_000).clientsMax).toBe(10_000)
  expect(shareOpenFiles(1_024, 10_000)).toEqual({ clientsMax: 597, serversMax: 299 })
})

test('a limit below the reserve still leaves one client and one server', () => {
  expect(shareOpenFiles(64, 10_000)).toEqual({ clientsMax: 1, serversMax: 1 })
})

test('without a limit clients get what was wanted', () => {
  expect(shareOpenFiles(null, 10_000).clientsMax).toBe(10_000)
})
