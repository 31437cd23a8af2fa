import { expect, test } from 'vitest'
import { knownLoginState } from '../../../pooler/client/login-state.ts'
import { Attribution } from '../../../pooler/relay/attribution.ts'

const nobody = new Attribution(null)
const baseline = new Map([['TimeZone', 'UTC']])
const server = { baseline, spelling: new Map([['timezone', 'TimeZone']]) }
const named = (name: string) =>
  knownLoginState(server, new Map([['application_name', name]]), nobody)

test('who logs in like another has the same state', () => {
  expect(named('shop')).toBe(named('shop'))
  expect(named('shop').startup.get('application_name')).toBe('shop')
})

test('what is in use stays remembered, however many name themselves anew', () => {
  const shop = named('shop')
  for (let number = 0; number < 100; number++) {
    const another = named(`job ${number}`)
    expect(another.startup.get('application_name')).toBe(`job ${number}`)
    expect(named('shop')).toBe(shop)
  }
})

test('what is too long is made each time', () => {
  const long = 'x'.repeat(2000)
  expect(named(long)).toEqual(named(long))
  expect(named(long)).not.toBe(named(long))
})
