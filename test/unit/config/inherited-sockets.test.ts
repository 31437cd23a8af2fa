import { expect, test } from 'vitest'
import { inheritanceFor, inheritedSockets } from '../../../pooler/config/inherited-sockets.ts'
import { ConfigError } from '../../../pooler/config/load-config.ts'

test('names tell which socket is which, from descriptor 3 on', () => {
  const env = { LISTEN_PID: '42', LISTEN_FDS: '2', LISTEN_FDNAMES: 'session:transaction' }
  expect(inheritedSockets(env, 42)).toEqual({ session: 3, transaction: 4 })
})

test('without names the order does', () => {
  for (const names of [undefined, 'unknown:unknown:unknown']) {
    const env = { LISTEN_FDS: '3', LISTEN_FDNAMES: names }
    expect(inheritedSockets(env, 42)).toEqual({ transaction: 3, session: 4, api: 5 })
  }
})

test('what was meant for another process, or for nobody, is none', () => {
  expect(inheritedSockets({ LISTEN_PID: '41', LISTEN_FDS: '2' }, 42)).toEqual({})
  expect(inheritedSockets({}, 42)).toEqual({})
  expect(inheritedSockets({ LISTEN_FDS: '' }, 42)).toEqual({})
})

test.each([
  { LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' },
  { LISTEN_FDS: '2', LISTEN_FDNAMES: 'api' },
  { LISTEN_FDS: '2', LISTEN_FDNAMES: 'api:api' },
  { LISTEN_FDS: '4' },
  { LISTEN_FDS: 'many' },
])('%j is refused', (env) => {
  expect(() => inheritedSockets(env, 42)).toThrow(ConfigError)
})

test('what is handed on is read as it was meant', () => {
  const env = inheritanceFor({ LISTEN_PID: '1', LISTEN_FDS: '1', PATH: '/bin' }, ['api', 'session'])
  expect(env.PATH).toBe('/bin')
  expect(inheritedSockets(env, 7)).toEqual({ api: 3, session: 4 })
})
