// The certificates that clients are shown: one pair of files, or a folder of pairs chosen by TLS
// server name. Reads files at start and on reload; a reload that fails changes nothing.
import { constants, X509Certificate } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import { assert } from '../../shared/assert.ts'
import { certificatePairsMax } from '../config/limits.ts'

export interface CertificatePaths {
  /** A PEM file, leaf first, or a folder with a NAME.crt or NAME.pem for each NAME.key. */
  readonly certPath: string
  /** The key's PEM file, or the folder of keys. */
  readonly keyPath: string
}

/** What is wrong with which file, for the person who set the paths. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
}

/** PEM texts. */
export interface CertificatePair {
  readonly cert: string
  readonly key: string
}

interface Pair {
  readonly name: string
  readonly texts: CertificatePair
  readonly context: SecureContext
  readonly hostNames: readonly string[]
}

interface Table {
  /** For clients that send no server name or one that no certificate has. */
  readonly fallback: SecureContext
  readonly fallbackTexts: CertificatePair
  /** By host name in lower case; a wildcard with its `*.`. */
  readonly byHostName: ReadonlyMap<string, SecureContext>
}

/** DER of the certificate that each context shows. Asking a connection costs more than its SCRAM. */
const certificates = new WeakMap<SecureContext, Buffer>()

/** Only of contexts from here. */
export function certificateIn(context: SecureContext): Buffer {
  const certificate = certificates.get(context)
  assert(certificate !== undefined, 'every context is made with its certificate')
  return certificate
}

export class ServerCertificates {
  readonly #paths: CertificatePaths
  #table: Table

  private constructor(paths: CertificatePaths, table: Table) {
    this.#paths = paths
    this.#table = table
  }

  /** Throws CertificateError. */
  static async load(paths: CertificatePaths): Promise<ServerCertificates> {
    return new ServerCertificates(paths, await readTable(paths))
  }

  /** Handshakes from now on use what the files hold now; live connections stay. Throws CertificateError. */
  async reload(): Promise<void> {
    this.#table = await readTable(this.#paths)
  }

  /** What is shown where there is no server name, for servers that cannot be given a context. */
  get defaultPair(): CertificatePair {
    return this.#table.fallbackTexts
  }

  /** Whether one of them is for this name. */
  covers(name: string): boolean {
    return this.#find(name) !== undefined
  }

  /** The exact name, then the wildcard one level up (RFC 6125, 6.4.3), then the default pair. */
  contextFor(serverName: string | null): SecureContext {
    const found = serverName === null ? undefined : this.#find(serverName)
    return found ?? this.#table.fallback
  }

  #find(serverName: string): SecureContext | undefined {
    const { byHostName } = this.#table
    const name = serverName.toLowerCase().replace(/\.$/, '')
    return byHostName.get(name) ?? byHostName.get(name.replace(/^[^.]+/, '*'))
  }
}

async function readTable({ certPath, keyPath }: CertificatePaths): Promise<Table> {
  const isFolder = await askFile(certPath, async () => (await stat(certPath)).isDirectory())
  const pairs = isFolder
    ? await readFolder(certPath, keyPath)
    : [await readPair('default', certPath, keyPath)]
  const first = pairs.find((pair) => pair.name === 'default') ?? pairs[0]
  if (first === undefined) {
    throw new CertificateError(`${certPath} has no certificate: NAME.crt or NAME.pem, and NAME.key`)
  }
  const byHostName = new Map<string, SecureContext>()
  for (const pair of pairs) {
    for (const hostName of pair.hostNames) {
      if (!byHostName.has(hostName)) byHostName.set(hostName, pair.context)
    }
  }
  return { fallback: first.context, fallbackTexts: first.texts, byHostName }
}

/** In the order of their names, so that of two pairs for one host the same one wins each time. */
async function readFolder(certFolder: string, keyFolder: string): Promise<Pair[]> {
  const files = await askFile(certFolder, () => readdir(certFolder))
  const certFiles = files.filter((file) => /^[^.].*\.(crt|pem)$/.test(file)).sort()
  if (certFiles.length > certificatePairsMax) {
    throw new CertificateError(
      `${certFolder} has ${certFiles.length} certificates, the limit is ${certificatePairsMax}`,
    )
  }
  const pairs: Pair[] = []
  for (const file of certFiles) {
    const name = file.replace(/\.(crt|pem)$/, '')
    pairs.push(await readPair(name, join(certFolder, file), join(keyFolder, `${name}.key`)))
  }
  return pairs
}

async function readPair(name: string, certFile: string, keyFile: string): Promise<Pair> {
  const cert = await askFile(certFile, () => readFile(certFile, 'utf8'))
  const key = await askFile(keyFile, () => readFile(keyFile, 'utf8'))
  try {
    const leaf = new X509Certificate(cert)
    const context = makeContext(cert, key)
    certificates.set(context, leaf.raw)
    return { name, texts: { cert, key }, context, hostNames: hostNamesOf(leaf) }
  } catch (cause) {
    // OpenSSL's text names the fault (no start line, key values mismatch), never the key.
    throw new CertificateError(`${certFile} and ${keyFile} are no usable pair: ${textOf(cause)}`, {
      cause,
    })
  }
}

/** Without session tickets, as Postgres: each connection is then shown the certificate it is bound to. */
function makeContext(cert: string, key: string): SecureContext {
  return createSecureContext({
    cert,
    key,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  })
}

/** Only subjectAltName counts (RFC 6125, 6.4.4): clients look nowhere else any more. */
function hostNamesOf(leaf: X509Certificate): string[] {
  return (leaf.subjectAltName ?? '')
    .split(', ')
    .filter((entry) => entry.startsWith('DNS:'))
    .map((entry) => entry.slice('DNS:'.length).toLowerCase())
}

async function askFile<Answer>(path: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (cause) {
    throw new CertificateError(`${path} cannot be read: ${textOf(cause)}`, { cause })
  }
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
