import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Fetch, SignedPost } from '../../../pooler/webhook/signed-post.ts'
import { Secret } from '../../../shared/secret.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const clock = new ManualClock(Date.UTC(2026, 5, 1))
const target = { url: 'https://mail.example.com/hook', secret: new Secret('s'.repeat(32)) }
const message = { id: 'msg_1', type: 'invitation.created', atMs: clock.wallMs(), data: { a: 'ä' } }

const postTo = (answer: Fetch) => new SignedPost(target, clock, answer).post(message)
const answering = (status: number) => postTo(async () => new Response(null, { status }))

describe('a signed post', () => {
  test('carries id, time and an HMAC over both and the body, byte for byte', async () => {
    let seen: RequestInit | undefined
    await postTo(async (_url, init) => {
      seen = init
      return new Response('thanks')
    })
    const headers = new Headers(seen?.headers)
    const body = String(seen?.body)
    expect(JSON.parse(body)).toEqual({
      type: 'invitation.created',
      timestamp: '2026-06-01T00:00:00.000Z',
      data: { a: 'ä' },
    })
    const timestamp = String(Date.UTC(2026, 5, 1) / 1000)
    expect(headers.get('webhook-id')).toBe('msg_1')
    expect(headers.get('webhook-timestamp')).toBe(timestamp)
    const mac = createHmac('sha256', 's'.repeat(32)).update(`msg_1.${timestamp}.${body}`, 'utf8')
    expect(headers.get('webhook-signature')).toBe(`v1,${mac.digest('base64')}`)
  })

  test.each([
    [200, 'delivered'],
    [204, 'delivered'],
    [400, 'refused'],
    [410, 'refused'],
    [408, 'failed'],
    [429, 'failed'],
    [500, 'failed'],
    [503, 'failed'],
  ])('answered %i is %s', async (status, kind) => {
    expect((await answering(status)).kind).toBe(kind)
  })

  test('follows no redirect', async () => {
    const asked: RequestInit[] = []
    const outcome = await postTo(async (_url, init) => {
      asked.push(init)
      return new Response(null, { status: 302, headers: { location: 'http://169.254.169.254/' } })
    })
    expect(asked.map((init) => init.redirect)).toEqual(['manual'])
    expect(outcome.kind).toBe('refused')
  })

  test('without an answer fails after 10 s', async () => {
    const post = postTo(
      (_url, init) =>
        new Promise((_resolve, reject) => {
          init.signal?.addEventListener('abort', () => reject(new Error('aborted')))
        }),
    )
    clock.advance(10_000)
    expect(await post).toEqual({ kind: 'failed', reason: 'no answer in 10 s' })
    expect(clock.timerCount).toBe(0)
  })

  test('says why it could not connect, and nothing of the message', async () => {
    const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    const outcome = await postTo(async () => {
      throw new TypeError('fetch failed', { cause })
    })
    expect(outcome).toEqual({ kind: 'failed', reason: 'ECONNREFUSED' })
  })
})
