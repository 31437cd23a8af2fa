import { describe, expect, test } from 'vitest'
import { ModelSession } from '../../support/model-session.ts'
import {
  generatePipeline,
  type Pipeline,
  type PipelineOptions,
  transactionMode,
} from '../../support/pipeline-generator.ts'
import { errorFields, MessageCutter } from '../../support/raw-replies.ts'
import { assertSameReplies } from '../../support/reply-comparison.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

function pipelines(count: number, options: Partial<PipelineOptions> = {}): Pipeline[] {
  return Array.from({ length: count }, (_, seed) =>
    generatePipeline(new SeededRandom(seed), { client: 'c1', turns: 8, ...options }),
  )
}

const repliesOf = (all: Pipeline[]) =>
  all.flatMap(({ turns }) => turns).flatMap((turn) => turn.replies)
const lettersOf = (all: Pipeline[]) =>
  new Set(all.flatMap(({ turns }) => turns).flatMap(({ letters }) => [...letters]))
const statesOf = (all: Pipeline[]) =>
  new Set(
    repliesOf(all)
      .filter(({ type }) => type === 'E')
      .map(({ body }) => errorFields(body).C),
  )

describe('pipeline generator', () => {
  test('the same seed gives the same bytes and another seed others', () => {
    const bytes = (seed: number) =>
      generatePipeline(new SeededRandom(seed), { client: 'c1', turns: 8 }).turns.map((turn) =>
        turn.bytes.toString('latin1'),
      )
    expect(bytes(5)).toEqual(bytes(5))
    expect(bytes(5)).not.toEqual(bytes(6))
  })

  test('every message of a client and every reply of a server comes up', () => {
    const all = pipelines(300, { features: { fatal: 1 } })
    expect([...lettersOf(all)].sort().join('')).toBe('BCDEFHPQSXcdfy')
    const types = new Set(repliesOf(all).map(({ type }) => type))
    expect([...types].sort().join('')).toBe('123CDEGHINSTVZcdnst')
    const states = ['XX000', '25P02', '26000', '34000', '42P05', '42P03', '22P02', '57014', '08P01']
    expect([...statesOf(all)]).toEqual(expect.arrayContaining(states))
    expect(all.some(({ isFatal }) => isFatal)).toBe(true)
    const restful = all.flatMap(({ turns }) => turns.map(({ isAtRest }) => isAtRest))
    expect(new Set(restful).size).toBe(2)
  })

  test('no reply of a turn stays in the buffer of a server', () => {
    for (const { turns } of pipelines(100)) {
      const session = new ModelSession()
      const messages = new MessageCutter()
      for (const { bytes } of turns) {
        messages.push(bytes)
        for (let next = messages.next(); next !== null; next = messages.next()) {
          session.receive(next)
          while (session.want.kind === 'sleep') session.wake()
        }
        session.take()
        expect(session.take(true).length).toBe(0)
      }
    }
  })

  test('features of weight zero stay away', () => {
    const features = { copy: 0, functionCalls: 0, strays: 0, names: 0, savepoints: 0, settings: 0 }
    const all = pipelines(200, { features })
    expect([...lettersOf(all)].filter((letter) => 'Fcdfy'.includes(letter))).toEqual([])
    expect(repliesOf(all).filter(({ type }) => 'GSV'.includes(type))).toEqual([])
    const states = statesOf(all)
    expect(['3B001', '42P05', '42P03'].filter((state) => states.has(state))).toEqual([])
  })

  test('half-ended transactions come up, but not for a target in transaction mode', () => {
    const often = { queryInBatch: 12, copy: 0 }
    expect(statesOf(pipelines(300, { features: often })).has('XX000')).toBe(true)
    const features = { ...often, ...transactionMode.features }
    expect(statesOf(pipelines(300, { ...transactionMode, features })).has('XX000')).toBe(false)
  })
})

describe('reply comparison', () => {
  test('tells a missing, an additional and a changed reply', () => {
    const [turn] = generatePipeline(new SeededRandom(1), { client: 'c1', turns: 1 }).turns
    const replies = turn?.replies ?? []
    expect(replies.length).toBeGreaterThan(2)
    const [first, ...rest] = replies
    assertSameReplies(replies, [...replies], 'equal')
    expect(() => assertSameReplies(rest, replies, 'turn')).toThrow(/reply \d+ is .*\n.*turn/s)
    expect(() => assertSameReplies(replies, replies.slice(0, -1), '')).toThrow('expected none')
    const changed = [{ type: 'Z', body: Buffer.from('?') }, ...rest]
    expect(first?.type).toBeDefined()
    expect(() => assertSameReplies(changed, replies, '')).toThrow('reply 1 is Z(?)')
  })
})
