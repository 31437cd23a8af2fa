import { X509Certificate } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findSelfSigned } from '../../../pooler/embedded/self-signed.ts'
import { type Clock, systemClock } from '../../../shared/clock.ts'

const dayMs = 86_400_000
let parent: string
let home: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'latchkey-certificate-'))
  home = join(parent, '.latchkey')
})

afterEach(async () => {
  await rm(parent, { recursive: true, force: true })
})

async function find(names: readonly string[] = [], daysLater = 0): Promise<string> {
  const clock: Clock = { ...systemClock, wallMs: () => Date.now() + daysLater * dayMs }
  const { certificatePath, keyPath } = await findSelfSigned({ home, names, clock })
  const certificate = await readFile(certificatePath, 'utf8')
  expect((await stat(keyPath)).mode & 0o777).toBe(0o600)
  return certificate
}

test('the certificate is kept from one start to the next', async () => {
  const first = await find(['db.abc.localhost'])
  expect(await find(['db.abc.localhost'])).toBe(first)
  expect(await find([], 360)).toBe(first)
})

test('it is made anew near its end, for a new name, and when a file is damaged', async () => {
  const first = await find()
  const renewed = await find([], 370)
  expect(renewed).not.toBe(first)
  const named = await find(['db.abc.localhost'])
  expect(named).not.toBe(renewed)
  expect(new X509Certificate(named).checkHost('db.abc.localhost')).toBe('db.abc.localhost')
  await truncate(join(home, 'certificate-key.pem'), 40)
  expect(await find(['db.abc.localhost'])).not.toBe(named)
})

test('the folder is closed to others, also when it was open', async () => {
  await find()
  await chmod(home, 0o755)
  await find()
  expect((await stat(home)).mode & 0o777).toBe(0o700)
})
