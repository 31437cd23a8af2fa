import { expect, test } from 'vitest'
import { connectionShares } from '../../../bench/support/connection-shares.ts'
import { findPoolers, poolers } from '../../../bench/support/poolers/found-poolers.ts'
import { pgBouncer } from '../../../bench/support/poolers/pgbouncer.ts'
import { pgpool } from '../../../bench/support/poolers/pgpool.ts'
import type { Site } from '../../../bench/support/poolers/pooler.ts'
import { ableTargets, type Target } from '../../../bench/support/target.ts'

const site: Site = {
  version: '1.22.0',
  port: 6432,
  otherPort: 6433,
  folder: '/run/bench',
  upstream: { host: '10.1.2.3', port: 5433, user: 'app', password: 'hidden-app', database: 'load' },
  poolSize: 17,
  roles: ['app', 'other'].map((name) => ({
    name,
    password: `hidden-${name}`,
    verifier: `SCRAM-SHA-256$4096:${name}`,
  })),
  certificateFile: '/run/bench/tls.crt',
  keyFile: '/run/bench/tls.key',
  serversMax: 400,
  file: (name) => `/run/bench/${name}`,
}

test.each(poolers.map((pooler) => [pooler.name, pooler] as const))(
  '%s is told where it is, before what, and for whom',
  (_name, pooler) => {
    const { files, args, settings } = pooler.setup(site)
    const text = Object.values(files).join('\n')
    for (const part of [
      '127.0.0.1',
      '6432',
      '10.1.2.3',
      '5433',
      site.certificateFile,
      site.keyFile,
    ]) {
      expect(text).toContain(part)
    }
    for (const { name } of site.roles) expect(text).toMatch(new RegExp(`\\b${name}\\b`))
    expect(text).not.toContain('undefined')
    // Arguments stand in the list of processes, settings are printed.
    expect(JSON.stringify([args, settings])).not.toContain('hidden')
    const given = args.join(' ')
    for (const name of Object.keys(files)) expect(given + text).toContain(`/run/bench/${name}`)
  },
)

test.each(poolers.filter((one) => one !== pgpool).map((pooler) => [pooler.name, pooler] as const))(
  '%s pools transactions, with as many servers as the others',
  (_name, pooler) => {
    const { settings, clientsMax = null } = pooler.setup(site)
    expect(Object.values(settings).map((value) => value.replaceAll('"', ''))).toEqual(
      expect.arrayContaining(['transaction', '17']),
    )
    expect(clientsMax).toBeNull()
  },
)

test('PgBouncer has prepared statements from 1.21 on, and no passwords', () => {
  const before = pgBouncer.setup({ ...site, version: '1.20.1' })
  expect(before.lacks).toHaveProperty('prepared')
  expect(before.settings).not.toHaveProperty('max_prepared_statements')
  const since = pgBouncer.setup({ ...site, version: '1.21.0' })
  expect(since.lacks).toEqual({})
  expect(since.settings).toHaveProperty('max_prepared_statements')
  expect(Object.values(since.files).join('')).not.toContain('hidden')
})

test('Pgpool-II takes no more clients than Postgres has servers for', () => {
  expect(pgpool.setup(site).clientsMax).toBe(288)
  const small = pgpool.setup({ ...site, serversMax: 30 })
  expect(small.clientsMax).toBe(30)
  expect(small.files.conf).toContain("num_init_children = '30'")
})

test('a program that was named and is not there is an error, one that is not found is not', async () => {
  await expect(findPoolers({ BENCH_PGCAT: '/nowhere/pgcat' })).rejects.toThrow(
    'BENCH_PGCAT is /nowhere/pgcat, which is no program',
  )
  const found = await findPoolers({ BENCH_ODYSSEY: process.execPath })
  const odyssey = found.find(({ pooler }) => pooler.name === 'odyssey')
  expect(odyssey).toMatchObject({ file: process.execPath, version: process.versions.node })
})

test('who cannot take part is left out with a word', () => {
  const address = site.upstream
  const targets: Target[] = [
    { name: 'able', pid: 1, lacks: {}, transaction: address },
    { name: 'plain', pid: 2, lacks: { tls: 'has none' }, transaction: address },
    { name: 'small', pid: 3, lacks: {}, clientsMax: 10, transaction: address },
  ]
  const said: string[] = []
  const able = ableTargets(targets, { by: 'a case', needs: ['tls'], clients: 11 }, (line) =>
    said.push(line),
  )
  expect(able.map(({ name }) => name)).toEqual(['able'])
  expect(said).toEqual([
    'a case: plain is left out: has none',
    'a case: small is left out: takes 10 clients at most',
  ])
  expect(ableTargets(targets, { by: 'a case', clients: 10 }, () => {})).toHaveLength(3)
})

test('pools come first, and half of the rest is for those that need a server for each client', () => {
  expect(connectionShares({ free: 97, poolSize: 5, pools: 3, own: 20 })).toEqual({ serversMax: 31 })
  expect(() => connectionShares({ free: 97, poolSize: 20, pools: 4, own: 20 })).toThrow(
    'Postgres has 97 connections left, and 4 pools of 20 servers and 20 for the run itself need more',
  )
})
