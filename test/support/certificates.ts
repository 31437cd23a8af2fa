// Certificates for tests: authorities, and server certificates that one signed or that sign themselves.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerCertificates } from '../../pooler/accept/server-certificates.ts'
import { writeCertificate } from '../../pooler/embedded/certificate-writer.ts'

export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

export interface CertificateTimes {
  readonly notBeforeMs?: number
  readonly notAfterMs?: number
}

const hourMs = 3_600_000

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function make(
  subject: string,
  names: readonly string[],
  times: CertificateTimes,
  more: { isAuthority?: boolean; issuer?: { subject: string; key: KeyObject } } = {},
): TestCertificate & { keyObject: KeyObject } {
  const key = newKey()
  const nowMs = Date.now()
  const cert = writeCertificate({
    subject,
    key,
    names,
    notBeforeMs: times.notBeforeMs ?? nowMs - hourMs,
    notAfterMs: times.notAfterMs ?? nowMs + 24 * hourMs,
    ...more,
  })
  return { cert, key: key.export({ type: 'pkcs8', format: 'pem' }).toString(), keyObject: key }
}

export function selfSigned(
  names: readonly string[],
  times: CertificateTimes = {},
): TestCertificate {
  return make(names[0] ?? 'test', names, times)
}

/** As the pooler has it when it has read the files. */
export async function loaded({ cert, key }: TestCertificate): Promise<ServerCertificates> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-pair-'))
  const [certPath, keyPath] = [join(folder, 'one.crt'), join(folder, 'one.key')]
  try {
    await Promise.all([writeFile(certPath, cert), writeFile(keyPath, key, { mode: 0o600 })])
    return await ServerCertificates.load({ certPath, keyPath })
  } finally {
    await rm(folder, { recursive: true })
  }
}

export class TestAuthority {
  readonly cert: string
  readonly #subject: string
  readonly #key: KeyObject

  constructor(subject = 'Latchkey test authority') {
    const made = make(subject, [], {}, { isAuthority: true })
    this.#subject = subject
    this.#key = made.keyObject
    this.cert = made.cert
  }

  /** A server certificate for DNS names and IP addresses. */
  issue(names: readonly string[], times: CertificateTimes = {}): TestCertificate {
    const issuer = { subject: this.#subject, key: this.#key }
    return make(names[0] ?? 'test', names, times, { issuer })
  }
}
