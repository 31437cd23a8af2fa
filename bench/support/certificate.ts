import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { writeCertificate } from '../../pooler/embedded/certificate-writer.ts'

const dayMs = 86_400_000

/** For a run; nobody checks it. The same kind of key for all, so that handshakes cost the same. */
export async function makeCertificate(): Promise<{ cert: string; key: string }> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  const nowMs = Date.now()
  const cert = writeCertificate({
    subject: 'Latchkey bench',
    key: privateKey,
    names: ['localhost', '127.0.0.1'],
    notBeforeMs: nowMs - dayMs,
    notAfterMs: nowMs + 7 * dayMs,
  })
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}
