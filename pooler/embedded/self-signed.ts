// The demo's TLS certificate: made by ourselves, kept in the installation's folder, made anew before
// it ends or when a name is missing. Clients check it by naming the certificate itself as their root.
import { createPrivateKey, generateKeyPair, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Clock } from '../../shared/clock.ts'
import { writeCertificate } from './certificate-writer.ts'
import { openPrivateFolder, readPrivateFile, writePrivateFile } from './private-folder.ts'

export interface SelfSignedOptions {
  /** LATCHKEY_HOME. */
  readonly home: string
  /** Besides localhost, 127.0.0.1 and ::1; for example `db.<ref>.<domain>`. */
  readonly names: readonly string[]
  readonly clock: Clock
}

export interface SelfSigned {
  readonly certificatePath: string
  readonly keyPath: string
}

const dayMs = 86_400_000
// Apple's limit for certificates that a person trusts by hand is 825 days.
const lifeMs = 397 * dayMs
const renewBeforeMs = 30 * dayMs
const ownNames = ['localhost', '127.0.0.1', '::1']

export async function findSelfSigned({
  home,
  names,
  clock,
}: SelfSignedOptions): Promise<SelfSigned> {
  await openPrivateFolder(home)
  const certificatePath = join(home, 'certificate.pem')
  const keyPath = join(home, 'certificate-key.pem')
  const wanted = [...new Set([...ownNames, ...names])]
  const [certificate, key] = [
    await readPrivateFile(certificatePath),
    await readPrivateFile(keyPath),
  ]
  if (certificate === null || key === null || !isGood(certificate, key, wanted, clock.wallMs())) {
    await make(certificatePath, keyPath, wanted, clock.wallMs())
  }
  return { certificatePath, keyPath }
}

async function make(
  certificatePath: string,
  keyPath: string,
  names: readonly string[],
  nowMs: number,
): Promise<void> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  const certificate = writeCertificate({
    subject: 'Latchkey demo',
    key: privateKey,
    names,
    // A client's clock may be a little behind.
    notBeforeMs: nowMs - dayMs,
    notAfterMs: nowMs + lifeMs,
  })
  await writePrivateFile(keyPath, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  await writePrivateFile(certificatePath, certificate)
}

function isGood(pem: string, key: string, names: readonly string[], nowMs: number): boolean {
  try {
    const certificate = new X509Certificate(pem)
    const hasName = (name: string): boolean =>
      certificate.checkHost(name, { subject: 'never' }) !== undefined ||
      certificate.checkIP(name) !== undefined
    return (
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      certificate.validToDate.getTime() - nowMs > renewBeforeMs &&
      certificate.validFromDate.getTime() <= nowMs &&
      names.every(hasName)
    )
  } catch {
    // Cut or edited: made anew.
    return false
  }
}
