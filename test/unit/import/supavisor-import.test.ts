import { expect, test } from 'vitest'
import { readSupavisor } from '../../../pooler/import/supavisor-import.ts'

const tenant = {
  id: '2f5e5e0a-0000-4000-8000-000000000000',
  external_id: 'shop',
  db_host: 'db.example.com',
  db_port: 5432,
  db_database: 'postgres',
  upstream_ssl: false,
  upstream_verify: null,
  require_user: true,
  auth_query: null,
  default_pool_size: 15,
  allow_list: ['0.0.0.0/0', '::/0'],
  banned_at: null,
  users: [
    {
      db_user: 'postgres',
      db_user_alias: 'postgres',
      db_password: 'secret',
      mode_type: 'transaction',
      pool_size: 10,
      max_clients: null,
      is_manager: false,
    },
  ],
}

const texts = {
  'one answer of the API': JSON.stringify({ data: tenant }),
  'a list of the API': JSON.stringify({ data: [tenant] }),
  'the body of a PUT': JSON.stringify({ tenant }),
  'a bare list': JSON.stringify([tenant]),
  'one a line': `${JSON.stringify(tenant)}\n\n${JSON.stringify({ ...tenant, external_id: 'bank' })}\n`,
}

test.each(Object.entries(texts))('%s', (_name, text) => {
  const { tenants, notes } = readSupavisor(text)
  expect(tenants[0]).toMatchObject({
    ref: 'shop',
    fields: { db_host: 'db.example.com', users: [{ db_user: 'postgres', pool_size: 10 }] },
  })
  expect(notes).toEqual([])
})

test('what cannot be taken over is a note, and the others go on', () => {
  const list = [
    { ...tenant, external_id: 'a.b' },
    { ...tenant, external_id: 'odd', db_port: 0 },
    { ...tenant, external_id: 'banned', banned_at: '2026-01-01T00:00:00' },
  ]
  const { tenants, notes } = readSupavisor(JSON.stringify(list))
  expect(tenants.map(({ ref }) => ref)).toEqual(['banned'])
  expect(notes).toEqual([
    '"a.b": no ref for a project, since it has a dot or a space, or over 63 characters',
    expect.stringContaining('odd: db_port: '),
    'banned: it was banned there; PATCH /api/tenants/banned bans it here',
  ])
})

test.each([
  ['no JSON', 'line 1 is no JSON'],
  ['[{}]', 'tenant 1 has no external_id'],
  ['{"data": [1]}', 'tenant 1 has no external_id'],
])('%j is refused', (text, reason) => {
  expect(() => readSupavisor(text)).toThrow(reason)
})
