import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CertificateError, ServerCertificates } from '../../../pooler/accept/server-certificates.ts'
import { selfSigned, type TestCertificate } from '../../support/certificates.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-certificates-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function write(name: string, pair: TestCertificate, ending = 'crt'): void {
  writeFileSync(join(folder, `${name}.${ending}`), pair.cert)
  writeFileSync(join(folder, `${name}.key`), pair.key)
}

const loadFolder = () => ServerCertificates.load({ certPath: folder, keyPath: folder })
const loadPair = (name: string) =>
  ServerCertificates.load({
    certPath: join(folder, `${name}.crt`),
    keyPath: join(folder, `${name}.key`),
  })

describe('a pair', () => {
  test('is shown whatever the server name', async () => {
    write('a', selfSigned(['a.test']))
    const certificates = await loadPair('a')
    expect(certificates.contextFor('other.test')).toBe(certificates.contextFor(null))
  })

  test('that does not belong together is refused with both file names', async () => {
    write('a', selfSigned(['localhost']))
    writeFileSync(join(folder, 'a.key'), selfSigned(['localhost']).key)
    await expect(loadPair('a')).rejects.toThrow(
      /a\.crt and .*a\.key are no usable pair: .*mismatch/,
    )
  })

  test.each([
    ['no certificate', 'crt', 'not PEM'],
    ['no key', 'key', 'not PEM'],
  ])('with %s in its file is refused', async (_what, ending, text) => {
    write('a', selfSigned(['localhost']))
    writeFileSync(join(folder, `a.${ending}`), text)
    await expect(loadPair('a')).rejects.toThrow(CertificateError)
  })

  test('that is missing is refused with the file’s name', async () => {
    await expect(loadPair('a')).rejects.toThrow(/a\.crt cannot be read: .*ENOENT/)
  })
})

describe('a folder of pairs', () => {
  test('is chosen from by exact name, then by wildcard, else by default', async () => {
    write('one', selfSigned(['one.test', 'uno.test']))
    write('wild', selfSigned(['*.pooler.test']), 'pem')
    write('special', selfSigned(['Special.Pooler.test']))
    write('default', selfSigned(['none.test']))
    const certificates = await loadFolder()
    const fallback = certificates.contextFor(null)
    const wild = certificates.contextFor('abc.pooler.test')
    const special = certificates.contextFor('special.pooler.test')
    expect(new Set([fallback, wild, special, certificates.contextFor('one.test')]).size).toBe(4)
    expect(certificates.contextFor('UNO.test.')).toBe(certificates.contextFor('one.test'))
    expect(certificates.contextFor('ABC.pooler.test')).toBe(wild)
    expect(certificates.contextFor('db.abc.pooler.test')).toBe(fallback)
    expect(certificates.contextFor('pooler.test')).toBe(fallback)
    expect(certificates.contextFor('*.pooler.test')).toBe(wild)
    expect(certificates.contextFor('')).toBe(fallback)
  })

  test('falls back to the first by name where none is called default', async () => {
    write('b', selfSigned(['b.test']))
    write('a', selfSigned(['a.test']))
    const certificates = await loadFolder()
    expect(certificates.contextFor(null)).toBe(certificates.contextFor('a.test'))
  })

  test('shows the first by name where two have the same host', async () => {
    write('a', selfSigned(['same.test']))
    write('b', selfSigned(['same.test', 'b.test']))
    const certificates = await loadFolder()
    expect(certificates.contextFor('same.test')).not.toBe(certificates.contextFor('b.test'))
  })

  test('that is empty is refused', async () => {
    writeFileSync(join(folder, '.hidden.crt'), '')
    await expect(loadFolder()).rejects.toThrow(/has no certificate/)
  })

  test('with a certificate without key is refused with the key’s name', async () => {
    write('a', selfSigned(['localhost']))
    rmSync(join(folder, 'a.key'))
    await expect(loadFolder()).rejects.toThrow(/a\.key cannot be read/)
  })

  test('may have its keys in another folder', async () => {
    write('a', selfSigned(['localhost']))
    const keys = join(folder, 'keys')
    mkdirSync(keys)
    const other = selfSigned(['localhost'])
    writeFileSync(join(folder, 'a.crt'), other.cert)
    writeFileSync(join(keys, 'a.key'), other.key)
    await ServerCertificates.load({ certPath: folder, keyPath: keys })
  })
})

describe('a reload', () => {
  test('shows what the files hold now', async () => {
    write('a', selfSigned(['localhost']))
    const certificates = await loadPair('a')
    const before = certificates.contextFor(null)
    write('a', selfSigned(['localhost']))
    await certificates.reload()
    expect(certificates.contextFor(null)).not.toBe(before)
  })

  test('that fails says so and changes nothing', async () => {
    write('a', selfSigned(['localhost']))
    const certificates = await loadPair('a')
    const before = certificates.contextFor(null)
    writeFileSync(join(folder, 'a.crt'), 'half written')
    await expect(certificates.reload()).rejects.toThrow(CertificateError)
    expect(certificates.contextFor(null)).toBe(before)
  })
})
