import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { namesFromFiles, without } from '../../../pooler/config/env-files.ts'

let folder: string
let file: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-env-'))
  file = join(folder, 'one=two.env')
  writeFileSync(file, 'A=1\n# B=2\nexport C="with space"\n')
})
afterAll(() => rmSync(folder, { recursive: true }))

test.each([
  ['in one word', () => [`--env-file=${file}`]],
  ['in two words', () => ['--env-file', file]],
  ['that may be missing', () => [`--env-file-if-exists=${file}`]],
])('a file %s gives the names that have its values', (_name, words) => {
  const env = { A: '1', B: '2', C: 'with space' }
  expect(namesFromFiles(['--no-warnings', ...words(), '--enable-source-maps'], env)).toEqual([
    'A',
    'C',
  ])
  // What the environment had before counts for more than the file, and is not the file's.
  expect(namesFromFiles(words(), { ...env, A: 'mine' })).toEqual(['C'])
})

test('no file, or one that is not there, gives none', () => {
  expect(namesFromFiles([], { A: '1' })).toEqual([])
  expect(namesFromFiles(['--env-file-if-exists=/nowhere', '--env-file'], { A: '1' })).toEqual([])
})

test('what a successor is given lacks them', () => {
  expect(without({ A: '1', B: '2' }, ['A', 'Z'])).toEqual({ B: '2' })
})
