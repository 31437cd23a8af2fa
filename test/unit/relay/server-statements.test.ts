import { describe, expect, test } from 'vitest'
import { NameForecast } from '../../../pooler/relay/name-forecast.ts'
import { ServerStatements } from '../../../pooler/relay/server-statements.ts'

describe('what names stand for', () => {
  test('is what the latest message makes of them, as long as it may succeed', () => {
    const names = new NameForecast<number>()
    names.expect('a', 1, 0)
    names.expect('a', null, 0)
    names.expect('a', 2, 0)
    expect(names.get('a')).toBe(2)
    names.confirm('a', 1)
    expect(names.get('a')).toBe(2)
    names.confirm('a', null)
    expect(names.get('a')).toBe(2)
    names.lapse('a')
    expect(names.get('a')).toBe(null)
    expect(names.size).toBe(0)
  })

  test('goes back to what was confirmed when all that was on its way lapses', () => {
    const names = new NameForecast<number>()
    expect(names.set('a', 1)).toBe(null)
    names.expect('a', null, 0)
    names.expect('b', 2, 0)
    expect([names.get('a'), names.get('b'), names.size]).toEqual([null, 2, 1])
    names.lapse('a')
    names.lapse('b')
    expect([names.get('a'), names.get('b'), names.size]).toEqual([1, null, 1])
  })

  test('is uncertain for a later batch, until it is settled', () => {
    const names = new NameForecast<number>()
    names.expect('a', 1, 4)
    expect(names.isUncertain('a', 4)).toBe(false)
    expect(names.isUncertain('a', 5)).toBe(true)
    expect(names.isUncertain('b', 5)).toBe(false)
    names.expect('a', 2, 5)
    expect(names.isUncertain('a', 5)).toBe(false)
    names.confirm('a', 1)
    expect(names.isUncertain('a', 6)).toBe(true)
    expect(names.confirm('a', 2)).toBe(1)
    expect(names.isUncertain('a', 6)).toBe(false)
  })

  test('is nothing once cleared, but for what is on its way', () => {
    const names = new NameForecast<number>()
    names.set('a', 1)
    names.set('b', 2)
    names.expect('c', 3, 0)
    names.expect('b', null, 0)
    expect([...names.clear()]).toEqual([
      ['a', 1],
      ['b', 2],
    ])
    expect([names.get('a'), names.get('b'), names.get('c')]).toEqual([null, null, 3])
    expect(names.size).toBe(1)
  })

  test('is counted right in any order of messages and outcomes', () => {
    const names = new NameForecast<number>()
    const letters = ['a', 'b', 'c']
    const coming: [string, number | null][] = []
    for (let step = 1; step < 5000; step += 1) {
      const name = letters[(step * 7) % 3] as string
      if ((step * 13) % 5 < 3) {
        const value = step % 2 === 0 ? step : null
        names.expect(name, value, step)
        coming.push([name, value])
      } else {
        const [oldest, value] = coming.shift() ?? ['a', null]
        if (step % 3 === 0) names.lapse(oldest)
        else names.confirm(oldest, value)
      }
      if (step % 97 === 0) names.clear()
      expect(names.size).toBe(letters.filter((letter) => names.get(letter) !== null).length)
    }
  })
})

describe('statements of a server', () => {
  const withStatements = (...names: string[]): ServerStatements => {
    const server = new ServerStatements()
    for (const name of names) {
      server.expect(name, true, 0)
      server.confirm(name, true)
    }
    return server
  }

  test('are there when sent, and gone again when that lapses', () => {
    const server = withStatements()
    server.expect('a', true, 0)
    expect(server.has('a')).toBe(true)
    server.lapse('a')
    expect(server.has('a')).toBe(false)
    expect(server.size).toBe(0)
  })

  test('give way the least recently used first, whatever the order of their answers', () => {
    const server = withStatements('a', 'b')
    server.expect('c', true, 0)
    server.expect('d', true, 0)
    server.touch('b')
    server.confirm('c', true)
    const gone: (string | null)[] = []
    while (server.size > 0) {
      const name = server.leastUsed as string
      gone.push(name)
      server.expect(name, false, 1)
    }
    expect(gone).toEqual(['a', 'c', 'd', 'b'])
    expect(server.leastUsed).toBe(null)
    server.confirm('d', true)
    expect(server.has('d')).toBe(false)
    for (const name of gone) server.confirm(name as string, false)
    expect([server.size, server.leastUsed]).toEqual([0, null])
  })

  test('are there again when their close lapses, and only if they were made', () => {
    const server = withStatements('a', 'b')
    server.expect('c', true, 0)
    for (const name of ['a', 'c']) server.expect(name, false, 0)
    server.lapse('c')
    for (const name of ['a', 'c']) server.lapseClose(name, false)
    expect([server.has('a'), server.has('c'), server.size]).toEqual([true, false, 2])
    expect(server.leastUsed).toBe('b')
    server.expect('b', false, 0)
    expect(server.leastUsed).toBe('a')
  })

  test('are learnt again behind their close', () => {
    const server = withStatements('a')
    server.expect('a', false, 0)
    server.expect('a', true, 0)
    server.confirm('a', false)
    expect(server.has('a')).toBe(true)
    server.confirm('a', true)
    expect([server.leastUsed, server.size]).toEqual(['a', 1])
  })

  test('that are suspect count, are not there, are told once, and stay so when not closed', () => {
    const server = withStatements('a', 'b')
    server.suspectAll()
    expect([server.has('a'), server.size, server.leastUsed]).toEqual([false, 2, null])
    expect(server.takeSuspect('a')).toBe(true)
    expect(server.takeSuspect('a')).toBe(false)
    expect(server.takeAnySuspect()).toBe('b')
    expect([server.takeAnySuspect(), server.size]).toEqual([null, 0])
    server.expect('b', false, 0)
    server.lapseClose('b', true)
    expect([server.has('b'), server.size]).toEqual([false, 1])
    expect(server.takeSuspect('b')).toBe(true)
  })

  test('are counted, and put in order, right in any order of messages and outcomes', () => {
    const server = new ServerStatements()
    const letters = ['a', 'b', 'c', 'd']
    const coming: [string, boolean][] = []
    for (let step = 1; step < 5000; step += 1) {
      const name = letters[(step * 7) % 4] as string
      if ((step * 13) % 5 < 3) {
        const isThere = step % 2 === 0
        server.expect(name, isThere, step)
        coming.push([name, isThere])
      } else {
        const [oldest, isThere] = coming.shift() ?? ['a', false]
        if (step % 3 > 0) server.confirm(oldest, isThere)
        else server.lapse(oldest)
      }
      if (step % 31 === 0) server.forget(name)
      if (step % 97 === 0) server.clear()
      const present = letters.filter((letter) => server.has(letter))
      expect(server.size).toBe(present.length)
      expect(server.leastUsed === null).toBe(present.length === 0)
      if (server.leastUsed !== null) expect(present).toContain(server.leastUsed)
    }
  })

  test('that stay after all, because their Close was skipped, are older than what is used then', () => {
    const server = withStatements('a', 'b')
    server.expect('a', false, 1)
    server.touch('b')
    server.lapse('a')
    expect(server.leastUsed).toBe('b')
    server.touch('b')
    expect(server.leastUsed).toBe('a')
  })

  test('that were closed unseen are forgotten', () => {
    const server = withStatements('a', 'b')
    server.forget('a')
    expect(server.has('a')).toBe(false)
    expect(server.takeSuspect('a')).toBe(false)
    server.clear()
    expect(server.has('b')).toBe(false)
  })

  test('have an unnamed one that nobody owns after a message of ours', () => {
    const server = withStatements()
    const text = {}
    expect(server.unnamed).toBe(null)
    server.expectUnnamed(text, 1)
    expect(server.unnamed).toBe(text)
    expect(server.isUnnamedUncertain(2)).toBe(true)
    server.confirmUnnamed(text)
    expect(server.isUnnamedUncertain(2)).toBe(false)
    server.spoilUnnamed()
    expect(server.unnamed).not.toBe(text)
    expect(server.unnamed).not.toBe(null)
    server.expectUnnamed(text, 3)
    server.lapseUnnamed()
    expect(server.unnamed).not.toBe(text)
  })
})
