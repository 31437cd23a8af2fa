import { expect, test } from 'vitest'
import { loopbackEnvOf } from '../../../pooler/cli/commands/connect.ts'

test.each([
  ['postgres://r.p@latchkey.localhost:6543/d', { PGHOSTADDR: '127.0.0.1' }],
  ['postgres://r.p@localhost:6543/d', { PGHOSTADDR: '127.0.0.1' }],
  ['postgres://r.p@pooler.example.com:6543/d', {}],
  ['postgres://r.p@localhost.example.com:6543/d', {}],
  ['postgres://r.p@127.0.0.1:6543/d', {}],
])('%s is looked up by %j', (url, env) => {
  expect(loopbackEnvOf(new URL(url))).toEqual(env)
})
