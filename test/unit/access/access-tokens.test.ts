import { afterEach, expect, test } from 'vitest'
import { AccessTokens, hasTokenShape, tokenHashOf } from '../../../pooler/access/access-tokens.ts'
import { hashToken, type TokenOwner } from '../../../pooler/store/tokens.ts'
import { nullLog } from '../../../shared/log.ts'
import { Secret } from '../../../shared/secret.ts'
import { HandDrivenChanges } from '../../support/hand-driven-changes.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const tokenText = (digit: string) => `sbp_${digit.repeat(40)}`

const ownerOf = (id: string, revokedAtMs: number | null = null): TokenOwner => ({
  token: {
    id,
    userId: 'ada',
    name: id,
    prefix: 'sbp_0000',
    scope: null,
    createdAtMs: 0,
    expiresAtMs: null,
    revokedAtMs,
    lastUsedAtMs: null,
  },
  member: { userId: 'ada', email: null, name: 'Ada', isOperator: false, createdAtMs: 0 },
})

function setup() {
  const clock = new ManualClock()
  const changes = new HandDrivenChanges()
  const rows = new Map<string, TokenOwner>()
  const asked: string[] = []
  const written: Map<string, number>[] = []
  const store = {
    isDown: false,
    findBySha256: async (hash: Buffer) => {
      asked.push(hash.toString('hex'))
      if (store.isDown) throw new Error('metadata are away')
      return rows.get(hash.toString('hex')) ?? null
    },
    findOwner: async (id: string) => {
      asked.push(id)
      return [...rows.values()].find((owner) => owner.token.id === id) ?? null
    },
    touchLastUsed: async (uses: ReadonlyMap<string, number>) => {
      if (store.isDown) throw new Error('metadata are away')
      written.push(new Map(uses))
    },
  }
  const tokens = new AccessTokens({ tokens: store, changes, clock, log: nullLog })
  open.push(tokens)
  const put = (digit: string, owner: TokenOwner) =>
    rows.set(hashToken(tokenText(digit)).toString('hex'), owner)
  const find = async (digit: string) => {
    const owner = await tokens.findByHash(hashToken(tokenText(digit)).toString('hex'))
    if (owner !== null) tokens.noteUse(owner.token)
    return owner
  }
  return { clock, changes, rows, asked, written, store, tokens, put, find }
}

const open: AccessTokens[] = []
afterEach(async () => {
  for (const tokens of open.splice(0)) await tokens.close()
})

test('what has not the shape of a token', () => {
  const shapeless = [
    '',
    'sbp_',
    `sbp_${'a'.repeat(39)}`,
    `sbp_${'a'.repeat(253)}`,
    `SBP_${'a'.repeat(40)}`,
    'a.b.c',
    'eyJ.eyJ',
    'eyJ.eyJ.c.d',
    `eyJ.x${'y'.repeat(40)}.z`,
    `eyJ${'a'.repeat(8190)}.eyJ.x`,
    'correct horse battery staple',
  ]
  for (const text of shapeless) {
    expect(hasTokenShape(text), text.slice(0, 20)).toBe(false)
    expect(tokenHashOf(new Secret(text))).toBeNull()
  }
})

test('personal tokens and session tokens have the shape, to the byte', () => {
  const shaped = [
    `sbp_${'a'.repeat(40)}`,
    `sbp_${'a'.repeat(252)}`,
    `sbp_${'é'.repeat(126)}`,
    'eyJh.eyJp.c2ln',
    `eyJ${'a'.repeat(8192 - 10)}.eyJp.x`.slice(0, 8192),
  ]
  for (const text of shaped) expect(hasTokenShape(text), text.slice(0, 20)).toBe(true)
  expect(hasTokenShape(`sbp_${'é'.repeat(127)}`)).toBe(false)
})

test('a token that was found is asked for again after 5 s, or when it changes', async () => {
  const { clock, changes, asked, put, find } = setup()
  put('a', ownerOf('one'))
  await find('a')
  clock.advance(4999)
  await find('a')
  expect(asked).toHaveLength(1)
  clock.advance(1)
  await find('a')
  expect(asked).toHaveLength(2)
  put('a', ownerOf('one', 1))
  changes.announce({ kind: 'token', id: 'other' })
  await find('a')
  expect(asked).toHaveLength(2)
  changes.announce({ kind: 'token', id: 'one' })
  expect((await find('a'))?.token.revokedAtMs).toBe(1)
})

test('a member who changes or goes is read again with all tokens', async () => {
  const { changes, rows, put, find } = setup()
  put('a', ownerOf('one'))
  await find('a')
  rows.clear()
  changes.announce({ kind: 'member', userId: 'bob' })
  expect(await find('a')).not.toBeNull()
  changes.announce({ kind: 'member', userId: 'ada' })
  expect(await find('a')).toBeNull()
})

test('an unknown token is remembered briefly, and works the moment it is made', async () => {
  const { changes, asked, put, find } = setup()
  expect(await find('a')).toBeNull()
  expect(await find('a')).toBeNull()
  expect(asked).toHaveLength(1)
  put('a', ownerOf('one'))
  changes.announce({ kind: 'token', id: 'one' })
  expect(await find('a')).not.toBeNull()
})

test('while changes are not heard nothing is answered from memory', async () => {
  const { changes, asked, put, find } = setup()
  put('a', ownerOf('one'))
  await find('a')
  changes.isBlind = true
  await find('a')
  await find('a')
  expect(asked).toHaveLength(3)
})

test('when changes are heard again all is read again', async () => {
  const { changes, asked, put, find } = setup()
  put('a', ownerOf('one'))
  await find('a')
  changes.announce({ kind: 'reread-all' })
  await find('a')
  expect(asked).toHaveLength(2)
})

test('last uses are written together, the newest of each token, and not for a second look', async () => {
  const { clock, written, tokens, put, find } = setup()
  put('a', ownerOf('one'))
  put('b', ownerOf('two'))
  put('c', ownerOf('dead', 1))
  await find('a')
  clock.advance(1000)
  await find('a')
  await find('b')
  await find('c')
  const usedAtMs = clock.wallMs()
  clock.advance(1000)
  const hash = tokenHashOf(new Secret(tokenText('a'))) ?? ''
  await tokens.findByHash(hash)
  await tokens.flushUses()
  expect(written.at(-1)).toEqual(
    new Map([
      ['one', usedAtMs],
      ['two', usedAtMs],
    ]),
  )
})

test('last uses that cannot be written are written with the next ones', async () => {
  const { clock, written, store, tokens, put, find } = setup()
  put('a', ownerOf('one'))
  put('b', ownerOf('two'))
  await find('a')
  await find('b')
  const early = clock.wallMs()
  store.isDown = true
  const failing = tokens.flushUses()
  clock.advance(10)
  store.isDown = false
  await failing
  await find('a')
  await tokens.flushUses()
  expect(written.at(-1)).toEqual(
    new Map([
      ['one', early + 10],
      ['two', early],
    ]),
  )
})

test('a store that is away fails the look-up instead of making the token unknown', async () => {
  const { store, put, find } = setup()
  put('a', ownerOf('one'))
  store.isDown = true
  await expect(find('a')).rejects.toThrow('metadata are away')
  store.isDown = false
  expect(await find('a')).not.toBeNull()
})
