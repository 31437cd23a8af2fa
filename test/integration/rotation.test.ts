// What an operator replaces while the pooler serves, as it is seen from outside: nobody who is in is
// disturbed, and nobody who comes is refused. VAULT_ENC_KEY: key-replacement; passwords of databases:
// tenant-changes; keys of an identity provider: unit/access/identity-provider.
import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { SignJWT } from 'jose'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { TestAuthority, type TestCertificate } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts, MainProcess, type Ports, portSettings } from '../support/main-process.ts'
import { OwnMetadata } from '../support/own-metadata.ts'

const authority = new TestAuthority()
let own: OwnMetadata
let folder: string
const processes: MainProcess[] = []

beforeAll(async () => {
  own = await OwnMetadata.make()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-rotation-'))
})
afterEach(async () => {
  for (const one of processes.splice(0)) await one.end()
})
afterAll(async () => {
  await own.drop()
  await rm(folder, { recursive: true })
})

async function put({ cert, key }: TestCertificate, name = 'one'): Promise<void> {
  await writeFile(join(folder, `${name}.crt`), cert)
  await writeFile(join(folder, `${name}.key`), key, { mode: 0o600 })
}

async function start(env: Record<string, string>): Promise<{ main: MainProcess; ports: Ports }> {
  const ports = await freePorts()
  const main = new MainProcess({ env: { ...own.env, ...portSettings(ports), ...env } })
  processes.push(main)
  await main.ready()
  return { main, ports }
}

/** The serial number of what a new client is shown: pg checks the chain and the name. */
async function shownOn(port: number): Promise<string> {
  const client = await enter(port)
  const { connection } = client as unknown as { connection: { stream: TLSSocket } }
  const { serialNumber } = connection.stream.getPeerCertificate()
  await client.end()
  return serialNumber
}

async function enter(port: number): Promise<Client> {
  const ssl = { ca: authority.cert, servername: 'localhost' }
  const client = new Client({ host: '127.0.0.1', port, ssl, ...own.login })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** What the API shows: to a browser that names it, and to a program that names nobody. */
async function shownByApi(port: number, servername: string): Promise<string> {
  const request = get({
    host: '127.0.0.1',
    port,
    path: '/api/health',
    ca: authority.cert,
    agent: false,
    servername,
    checkServerIdentity: () => undefined,
  })
  const [answer] = await once(request, 'response')
  const { serialNumber } = answer.socket.getPeerCertificate()
  answer.resume()
  await once(answer, 'end')
  return serialNumber
}

const serialOf = ({ cert }: TestCertificate): string => new X509Certificate(cert).serialNumber

test('a certificate, on all ports by SIGHUP; one that cannot be used leaves the old one', async () => {
  const [first, second] = [authority.issue(['localhost']), authority.issue(['localhost'])]
  await put(first)
  const { main, ports } = await start({
    GLOBAL_DOWNSTREAM_CERT_PATH: join(folder, 'one.crt'),
    GLOBAL_DOWNSTREAM_KEY_PATH: join(folder, 'one.key'),
    API_TLS: 'true',
  })
  const all = async () => [
    await shownOn(ports.transaction),
    await shownOn(ports.session),
    await shownByApi(ports.api, 'localhost'),
    await shownByApi(ports.api, ''),
  ]
  const serial = serialOf(first)
  expect(await all()).toEqual([serial, serial, serial, serial])
  const inside = await enter(ports.transaction)

  await put({ cert: second.cert, key: first.key })
  main.kill('SIGHUP')
  await main.says('the certificates cannot be used; the old ones stay')
  expect(await all()).toEqual([serial, serial, serial, serial])

  await put(second)
  main.kill('SIGHUP')
  await main.says('"certificates read again"')
  const renewed = serialOf(second)
  expect(await all()).toEqual([renewed, renewed, renewed, renewed])
  expect((await inside.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await inside.end()
})

test('of a folder of certificates, the API shows the one that is asked for, as the ports do', async () => {
  const pairs = join(folder, 'pairs')
  await mkdir(pairs)
  const [one, other] = [authority.issue(['localhost']), authority.issue(['other.example'])]
  await put(one, 'pairs/default')
  await put(other, 'pairs/other')
  const { ports } = await start({
    GLOBAL_DOWNSTREAM_CERT_PATH: pairs,
    GLOBAL_DOWNSTREAM_KEY_PATH: pairs,
    API_TLS: 'true',
  })
  expect(await shownByApi(ports.api, 'other.example')).toBe(serialOf(other))
  expect(await shownByApi(ports.api, '')).toBe(serialOf(one))
})

const newSecret = () => randomBytes(32).toString('hex')

const statusOf = async (port: number, path: string, secret: string): Promise<number> => {
  const jwt = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('5m')
    .sign(new TextEncoder().encode(secret))
  const headers = { authorization: `Bearer ${jwt}` }
  return (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status
}

test('the secrets of the API and of the metrics: both are taken while both are set', async () => {
  const [old, next] = [newSecret(), newSecret()]
  const statuses = (port: number): Promise<number[]> =>
    Promise.all(
      [old, next].flatMap((secret) =>
        ['/api/tenants', '/metrics'].map((path) => statusOf(port, path, secret)),
      ),
    )
  const before = await start({ API_JWT_SECRET: old, METRICS_JWT_SECRET: old })
  expect(await statuses(before.ports.api)).toEqual([200, 200, 403, 403])
  const both = await start({
    API_JWT_SECRET: next,
    API_JWT_SECRET_PREVIOUS: old,
    METRICS_JWT_SECRET: next,
    METRICS_JWT_SECRET_PREVIOUS: old,
  })
  expect(await statuses(both.ports.api)).toEqual([200, 200, 200, 200])
  const after = await start({ API_JWT_SECRET: next, METRICS_JWT_SECRET: next })
  expect(await statuses(after.ports.api)).toEqual([403, 403, 200, 200])
})

test('a secret in a file of settings, by SIGUSR2: the next process has it as it stands there then', async () => {
  const [old, next] = [newSecret(), newSecret()]
  const file = join(folder, 'settings.env')
  const ports = await freePorts()
  const { API_JWT_SECRET: _, ...env } = { ...own.env, ...portSettings(ports) }
  await writeFile(file, `API_JWT_SECRET=${old}\n`)
  const main = new MainProcess({ env, nodeArgs: [`--env-file=${file}`] })
  processes.push(main)
  await main.ready()
  const successors = () =>
    [...main.stdout.matchAll(/"successor":(\d+)/g)].map(([, pid]) => Number(pid))
  const succeed = async () => {
    const before = successors()
    process.kill(before.at(-1) ?? main.pid, 'SIGUSR2')
    await eventually(() => successors().length > before.length)
  }
  const statuses = async () => [
    await statusOf(ports.api, '/api/tenants', old),
    await statusOf(ports.api, '/api/tenants', next),
  ]
  try {
    expect(await statuses()).toEqual([200, 403])
    await writeFile(file, `API_JWT_SECRET=${next}\nAPI_JWT_SECRET_PREVIOUS=${old}\n`)
    await succeed()
    await eventually(async () => expect(await statuses()).toEqual([200, 200]))
    // What is gone from the file is not inherited either.
    await writeFile(file, `API_JWT_SECRET=${next}\n`)
    await succeed()
    await eventually(async () => expect(await statuses()).toEqual([403, 200]))
  } finally {
    for (const pid of successors()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
  }
})
