import { describe, expect, test } from 'vitest'
import { jitRequest, parseOptions } from '../../../pooler/startup/startup-options.ts'
import { PoolerError } from '../../../shared/errors.ts'

function parsed(text: string | Buffer) {
  const { reference, jit, settings } = parseOptions(Buffer.from(text))
  return { reference, jit, settings: Object.fromEntries(settings) }
}

const settings = (expected: Record<string, string>) => ({
  reference: null,
  jit: null,
  settings: expected,
})

function codeOf(text: string | Buffer): string {
  try {
    parseOptions(Buffer.from(text))
  } catch (error) {
    if (error instanceof PoolerError) return error.code
    throw error
  }
  return 'none'
}

describe("Postgres' grammar", () => {
  // Each line was put to Postgres 18.
  test.each<[string, Record<string, string>]>([
    ['', {}],
    ['  \t', {}],
    ['-c work_mem=1MB', { work_mem: '1MB' }],
    ['-cwork_mem=1MB', { work_mem: '1MB' }],
    ['--work_mem=1MB', { work_mem: '1MB' }],
    ['--work-mem=1MB', { work_mem: '1MB' }],
    ['-c WORK-mem=1MB', { work_mem: '1MB' }],
    ['\t-c\nwork_mem=1MB', { work_mem: '1MB' }],
    ['-c jit_above_cost=1 -c jit_above_cost=2', { jit_above_cost: '2' }],
    ['--work_mem=1MB --enable_sort=off', { work_mem: '1MB', enable_sort: 'off' }],
    ['-c search_path=a,\\ b', { search_path: 'a, b' }],
    ['-c search_path=a\\\\b', { search_path: 'a\\b' }],
    ['-c search_path=abc\\', { search_path: 'abc' }],
    ['-c\\ work_mem=1MB', { ' work_mem': '1MB' }],
    ['-c "work_mem=1MB"', { '"work_mem': '1MB"' }],
    ['-c work_mem=1=2', { work_mem: '1=2' }],
    ['-c work_mem=', { work_mem: '' }],
    ['-c --work_mem=1MB', { __work_mem: '1MB' }],
    ['-c app.a-b=c', { 'app.a_b': 'c' }],
    ['-c work_mem=1MB --', { work_mem: '1MB' }],
    ['--', {}],
    ['-c search_path=ä', { search_path: 'ä' }],
  ])('%j is read', (text, expected) => {
    expect(parsed(text)).toEqual(settings(expected))
  })

  test.each([
    '-c',
    '-c=',
    '-c =x',
    '-c work_mem',
    '-cwork_mem',
    '--work_mem',
    '--=x',
    '-',
    '-c work_mem=1MB -',
    '-c work_mem=1MB foo',
    '-c work_mem =1MB',
    '-- -c work_mem=1MB',
    '-c -c',
    '-z',
    '-F',
    '-S 1234',
    '-? ',
    '-c work_mem=1MB \\',
    '-c search_path=a\vb',
    '-c search_path=a\fb',
  ])('%j is refused', (text) => {
    expect(codeOf(text)).toBe('EOPTIONS')
  })

  test('badly encoded bytes are refused', () => {
    expect(codeOf(Buffer.from([0x2d, 0x63, 0x61, 0x3d, 0xe9]))).toBe('EOPTIONS')
  })

  test('ten thousand flags without name or value come to an end', () => {
    expect(codeOf('-c= '.repeat(2_500))).toBe('EOPTIONS')
    expect(codeOf('\\'.repeat(10_000))).toBe('EOPTIONS')
  })
})

describe('the URL query form', () => {
  test.each<[string, ReturnType<typeof parsed>]>([
    ['reference=abc', { reference: 'abc', jit: null, settings: {} }],
    ['reference%3dabc', { reference: 'abc', jit: null, settings: {} }],
    ['reference=a%62c&jit=on', { reference: 'abc', jit: 'on', settings: {} }],
    ['&&jit=on&', { reference: null, jit: 'on', settings: {} }],
    ['search_path=a,+b', settings({ search_path: 'a, b' })],
    ['search_path=a,%20b', settings({ search_path: 'a, b' })],
    ['search_path=%C3%A4', settings({ search_path: 'ä' })],
    ['app.a=b%26c%3Dd', settings({ 'app.a': 'b&c=d' })],
  ])('%j is read', (text, expected) => {
    expect(parsed(text)).toEqual(expected)
  })

  test.each(['foo', '=x', 'a=%', 'a=%zz', 'a=%C3', 'a=%00', 'reference', 'a=1&b'])(
    '%j is refused',
    (text) => {
      expect(codeOf(text)).toBe('EOPTIONS')
    },
  )
})

describe('keys of ours', () => {
  test('are taken out of the settings, the last one wins, their case does not matter', () => {
    expect(parsed('-c reference=a -c Reference=b -c jit=on --JIT=off -c work_mem=1MB')).toEqual({
      reference: 'b',
      jit: 'off',
      settings: { work_mem: '1MB' },
    })
  })

  test('an empty reference is told from none', () => {
    expect(parsed('-c reference=').reference).toBe('')
  })

  test('what stands before a key of ours does not matter', () => {
    expect(parsed(' -c jit=true')).toEqual({ reference: null, jit: 'true', settings: {} })
  })

  test.each([
    ['on', 'on'],
    ['TRUE', 'on'],
    ['Yes', 'on'],
    ['1', 'on'],
    ['Off', 'off'],
    ['false', 'off'],
    ['NO', 'off'],
    ['0', 'off'],
    ['', 'invalid'],
    ['2', 'invalid'],
    ['t', 'invalid'],
    [' on', 'invalid'],
    ['on\n', 'invalid'],
  ])('jit=%j asks for %s', (value, asked) => {
    expect(jitRequest(value)).toBe(asked)
  })
})

test('an error repeats a stranger’s text cut short and without control characters', () => {
  try {
    parseOptions(Buffer.from(`-\u0007\u001b[31m${'x'.repeat(5_000)}`))
    expect.unreachable()
  } catch (error) {
    const text = (error as PoolerError).wireText
    expect(text).toContain('"-??[31mxxx')
    expect(text.length).toBeLessThan(200)
  }
})
