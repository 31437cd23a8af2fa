import { expect, test } from 'vitest'
import { PoolerError } from '../../../shared/errors.ts'
import { createLog, type LogFormat, nullLog } from '../../../shared/log.ts'
import { Secret } from '../../../shared/secret.ts'

function collect(format: LogFormat = 'json') {
  const lines: string[] = []
  const log = createLog({ level: 'info', format, sink: { write: (line) => lines.push(line) } })
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown> }
}

/** Newlines, an escape sequence, a C1 control, a bidirectional override and a line separator. */
const hostile = 'a\r\n{"level":"error"}\u001b[2J\u009b31m\u202egpj\u2028z\u007f'

test('a line is one JSON object with level, time, process and text', () => {
  const { log, lines, last } = collect()
  log.warn({ tenant: 'abc' }, 'pool is full')
  expect(lines).toHaveLength(1)
  expect(last()).toMatchObject({
    level: 'warn',
    pid: process.pid,
    tenant: 'abc',
    msg: 'pool is full',
  })
  expect(Date.parse(String(last().time))).not.toBeNaN()
})

test('less than the level is not logged', () => {
  const { log, lines } = collect()
  log.debug({}, 'quiet')
  expect(lines).toEqual([])
})

test('a child carries its fields on each line', () => {
  const { log, last } = collect()
  log.child({ client: 7 }).child({ tenant: 'abc' }).info({ server: 3 }, 'joined')
  expect(last()).toMatchObject({ client: 7, tenant: 'abc', server: 3 })
})

test('client-given text stays one line without raw control characters in JSON', () => {
  const { log, lines, last } = collect()
  log.info({ role: hostile }, hostile)
  expect(lines).toHaveLength(1)
  expect(lines[0]?.trimEnd()).toMatch(/^[\x20-\x7e]+$/)
  expect(last()).toMatchObject({ role: hostile, msg: hostile })
})

test('client-given text stays visible and harmless in text', () => {
  const { log, lines } = collect('text')
  log.info({ role: hostile }, hostile)
  expect(lines).toHaveLength(1)
  expect(lines[0]?.trimEnd()).toMatch(/^[\x20-\x7e]+$/)
  expect(lines[0]).toContain('\\u001b[2J')
  expect(lines[0]).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: /)
})

test('an escaped backslash in front of a letter is not taken for an escape', () => {
  const { log, lines } = collect('text')
  log.info({}, 'C:\\new\\table')
  expect(lines[0]).toContain('C:\\new\\table')
})

test('a stack keeps its lines in text, and a forged text in front of it none', () => {
  const { log, lines } = collect('text')
  log.error({ err: new Error('first\nERROR: forged') }, 'failed')
  expect(lines[0]).not.toMatch(/\n\s*ERROR: forged/)
  expect(lines[0]).toMatch(/\n\s+at .*log\.test\.ts/)
})

test.each(['password', 'token', 'secret', 'authorization', 'cookie'])(
  'what stands under %s is hidden, at the top and below',
  (name) => {
    const { log, lines } = collect()
    log.info(
      { [name]: 'hunter2', request: { [name]: 'hunter2', headers: { [name]: 'hunter2' } } },
      '',
    )
    log.child({ [name]: 'hunter2' }).info({}, '')
    expect(lines).toHaveLength(2)
    expect(lines.join('')).not.toContain('hunter2')
  },
)

test('a Secret prints redacted wherever it is', () => {
  const { log, lines } = collect()
  log.info(
    { deep: { er: { than: { paths: new Secret('hunter2') } } } },
    String(new Secret('hunter2')),
  )
  expect(lines[0]).not.toContain('hunter2')
})

test('an operating error shows code, text, detail and causes, and no stack of ours', () => {
  const { log, last } = collect()
  const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' })
  const err = new PoolerError('EUPSTREAM', { values: { ref: 'abc' }, detail: 'port 5432', cause })
  log.warn({ err }, 'upstream down')
  expect(last().err).toMatchObject({
    type: 'PoolerError',
    code: 'EUPSTREAM',
    detail: 'port 5432',
    message: 'the database of project "abc" cannot be reached',
    cause: { message: 'connect refused', code: 'ECONNREFUSED' },
  })
  expect(last().err).not.toHaveProperty('stack')
})

test('what drivers hang on their errors does not reach the log', () => {
  const { log, lines } = collect()
  const err = Object.assign(new Error('boom'), {
    query: 'select secret_column',
    parameters: ['x1y2'],
  })
  log.error({ err }, 'failed')
  expect(lines[0]).not.toContain('secret_column')
  expect(lines[0]).not.toContain('x1y2')
})

test('a chain of causes that bites its tail ends', () => {
  const { log, lines } = collect()
  const err = new Error('loop')
  err.cause = err
  log.error({ err }, 'failed')
  expect(lines[0]?.match(/"message":"loop"/g)).toHaveLength(6)
})

test('what is thrown without being an error is told as well', () => {
  const { log, last } = collect()
  log.error({ err: 'just text' }, 'failed')
  expect(last().err).toEqual({ type: 'string', message: 'just text' })
})

test('the null log takes everything and gives itself as child', () => {
  expect(nullLog.child({ a: 1 })).toBe(nullLog)
  expect(nullLog.error({}, 'x')).toBeUndefined()
})
