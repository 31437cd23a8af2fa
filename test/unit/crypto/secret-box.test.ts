import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { SecretBox, SecretBoxError } from '../../../shared/crypto/secret-box.ts'
import { Secret } from '../../../shared/secret.ts'

const keyA = new Secret('a'.repeat(32))
const keyB = new Secret('0b'.repeat(32))
const place = { tenant: 'abc', role: 'app', field: 'db_password' }

describe('SecretBox', () => {
  it('opens what it sealed, whatever the text', () => {
    const box = new SecretBox({ current: keyA })
    for (const text of ['', 'x', 'pässwörd \u{1f511}', 'y'.repeat(100_000)]) {
      expect(box.open(box.seal(text, place), place).reveal()).toBe(text)
    }
  })

  it('opens a box that is a view into a larger buffer', () => {
    const box = new SecretBox({ current: keyA })
    const sealed = box.seal('text', place)
    const framed = new Uint8Array(sealed.length + 8)
    framed.set(sealed, 5)
    const view = framed.subarray(5, 5 + sealed.length)
    expect(box.open(view, place).reveal()).toBe('text')
  })

  it('gives two boxes of one text nothing in common behind the key id', () => {
    const box = new SecretBox({ current: keyA })
    const one = box.seal('same text', place)
    const other = box.seal('same text', place)
    expect(one.subarray(0, 5)).toEqual(other.subarray(0, 5))
    expect(one.subarray(5)).not.toEqual(other.subarray(5))
  })

  it('refuses a box in any other place, also where the parts join to the same text', () => {
    const box = new SecretBox({ current: keyA })
    const sealed = box.seal('text', place)
    const others = [
      { ...place, tenant: 'abd' },
      { ...place, role: 'App' },
      { ...place, field: 'other' },
      { tenant: 'ab', role: 'capp', field: 'db_password' },
      { tenant: 'abcapp', role: '', field: 'db_password' },
    ]
    for (const other of others) expect(() => box.open(sealed, other)).toThrow(SecretBoxError)
  })

  it('refuses a box with any one bit changed, and any shortened box', () => {
    const box = new SecretBox({ current: keyA })
    const sealed = box.seal('text', place)
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed)
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(() => box.open(changed, place)).toThrow(SecretBoxError)
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => box.open(sealed.subarray(0, length), place)).toThrow(SecretBoxError)
    }
  })

  it('opens boxes of the previous key and seals under the current one', () => {
    const before = new SecretBox({ current: keyA })
    const after = new SecretBox({ current: keyB, previous: keyA })
    expect(after.open(before.seal('old', place), place).reveal()).toBe('old')
    expect(() => before.open(after.seal('new', place), place)).toThrow(/neither the current/)
  })

  it('takes 32 characters or 64 hex digits as a key and never repeats a bad one', () => {
    const bad = ['', 'a'.repeat(31), 'a'.repeat(33), 'g'.repeat(64), `${'a'.repeat(31)}é`]
    for (const text of bad) {
      const make = (): SecretBox => new SecretBox({ current: new Secret(text) })
      expect(make).toThrow('an encryption key is 32 printable ASCII characters or 64 hex digits')
    }
    const upper = new SecretBox({ current: new Secret('AB'.repeat(32)) })
    const lower = new SecretBox({ current: new Secret('ab'.repeat(32)) })
    expect(lower.open(upper.seal('text', place), place).reveal()).toBe('text')
  })

  it('derives one key per label, the same from the same key, and prints none', () => {
    const one = new SecretBox({ current: keyA })
    const same = new SecretBox({ current: keyA, previous: keyB })
    const other = new SecretBox({ current: keyB })
    const key = one.deriveKey('mock').reveal()
    expect(key).toHaveLength(32)
    expect(same.deriveKey('mock').reveal()).toEqual(key)
    expect(other.deriveKey('mock').reveal()).not.toEqual(key)
    expect(one.deriveKey('mock2').reveal()).not.toEqual(key)
    expect(inspect(one, { depth: 9, showHidden: true })).not.toContain(key.toString('hex'))
    expect(inspect(one.deriveKey('mock'))).toBe('[redacted]')
  })
})
