// Who gets a connection beside the servers of pools, and when.
import { expect, test } from 'vitest'
import { AuxiliaryCount } from '../../../pooler/pool/auxiliary-count.ts'

const begun: string[] = []

/** A use that lasts until it is ended. */
function begin(count: AuxiliaryCount, ref: string, name: string): () => Promise<void> {
  let end = (): void => {}
  const over = count.inTurn(ref, () => {
    begun.push(name)
    return new Promise<void>((resolve) => {
      end = resolve
    })
  })
  return () => {
    end()
    return over
  }
}
const takeBegun = (): string[] => begun.splice(0)
const refused = async (use: Promise<unknown>): Promise<string> =>
  use.then(
    () => 'not refused',
    (error: Error) => error.message,
  )

test('beyond a project’s bound they wait, in order, and others do not', async () => {
  const count = new AuxiliaryCount(10, 1)
  const [first, second] = ['a1', 'a2', 'a3'].map((name) => begin(count, 'a', name))
  begin(count, 'b', 'b1')
  expect(takeBegun()).toEqual(['a1', 'b1'])
  await first?.()
  expect(takeBegun()).toEqual(['a2'])
  await second?.()
  expect(takeBegun()).toEqual(['a3'])
  expect(count.size).toBe(2)
})

test('beyond the bound of all, projects take turns', async () => {
  const count = new AuxiliaryCount(1, 1)
  const ends = ['a1', 'a2', 'a3', 'b1', 'b2'].map((name) => begin(count, name.charAt(0), name))
  for (const index of [0, 1, 3, 2, 4]) await ends[index]?.()
  expect(takeBegun()).toEqual(['a1', 'a2', 'b1', 'a3', 'b2'])
  expect(count.size).toBe(0)
})

test('who does not wait is refused, and so is a line without end', async () => {
  const count = new AuxiliaryCount(10, 1)
  const end = begin(count, 'a', 'a0')
  expect(await refused(count.during('a', () => Promise.resolve()))).toMatch(
    /as many auxiliary connections as it may/,
  )
  for (let index = 0; index < 2000; index++) void count.inTurn('a', () => Promise.resolve())
  expect(await refused(count.inTurn('a', () => Promise.resolve()))).toMatch(
    /as many auxiliary connections as it may/,
  )
  await end()
  takeBegun()
})

test('one that fails makes room all the same', async () => {
  const count = new AuxiliaryCount(10, 1)
  const failing = count.inTurn('a', () => Promise.reject(new Error('no')))
  const next = count.inTurn('a', () => Promise.resolve('done'))
  expect(await refused(failing)).toBe('no')
  expect(await next).toBe('done')
  expect(count.size).toBe(0)
})
