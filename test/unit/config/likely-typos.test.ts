import { expect, test } from 'vitest'
import { likelyTypos } from '../../../pooler/config/likely-typos.ts'
import { settingNames } from '../../../pooler/config/settings.ts'

test.each([
  ['QUERY_TIMEOUT_M', 'QUERY_TIMEOUT_MS'],
  ['QEURY_TIMEOUT_MS', 'QUERY_TIMEOUT_MS'],
  ['POOLS_WAITERS_MAX', 'POOL_WAITERS_MAX'],
  ['query_timeout_ms', 'QUERY_TIMEOUT_MS'],
  ['CLIENT-IDLE-TIMEOUT-MS', 'CLIENT_IDLE_TIMEOUT_MS'],
])('%s was meant to be %s', (given, meant) => {
  expect(likelyTypos({ [given]: '5' })).toEqual([{ given, meant }])
})

test('our own names and what belongs to others raise no suspicion', () => {
  const ours = Object.fromEntries(settingNames.map((name) => [name, '1']))
  const others = { PATH: '/bin', HOME: '/', POST: '1', HOSTNAME: 'x', PGPORT: '5432', CI: 'true' }
  expect(likelyTypos({ ...ours, ...others, QUERY_TIMEOUT: '1' })).toEqual([])
})
