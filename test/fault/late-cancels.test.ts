// Cancel connections that Postgres, or what is in front of it, closes late.
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'

/** Passes all on, but tells nobody that a cancel connection has ended before `release`. */
class LateEnds {
  readonly #server: Server
  readonly #held: Socket[] = []
  readonly #open = new Set<Socket>()
  cancels = 0

  constructor(host: string, port: number) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect(port, host)
      for (const socket of [near, far]) {
        this.#open.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => this.#open.delete(socket))
      }
      near.once('data', (first: Buffer) => {
        const isCancel = first.length >= 8 && first.readInt32BE(4) === raw.cancelCode
        far.write(first)
        near.pipe(far)
        if (!isCancel) far.pipe(near)
        else {
          this.cancels++
          far.resume()
          far.on('end', () => this.#held.push(near))
        }
      })
    })
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** Of a cancel that Postgres has dealt with. */
  async release(): Promise<void> {
    await eventually(() => this.#held.length > 0)
    for (const socket of this.#held.splice(0)) socket.end()
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

let pooled: PooledPostgres
let ends: LateEnds
beforeEach(async () => {
  const postgres = sharedPostgres()
  ends = new LateEnds(postgres.host, postgres.port)
  pooled = await PooledPostgres.start(postgres, { poolSize: 1, upstreamPort: await ends.start() })
})
afterEach(async () => {
  await pooled.stop()
  await ends.close()
})

const codes = (replies: readonly raw.RawMessage[]) =>
  replies.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body).C)

describe.each(['transaction', 'session'] as const)('%s port', (port) => {
  test('a second cancel, for a later statement, comes behind the first', async () => {
    const { client, login } = await pooled.login(port)
    const cancel = () => client.cancel(login.processId, login.secret)
    for (const sql of ['begin', 'savepoint s']) {
      await client.query(sql)
      await client.untilReady()
    }
    await client.query("select pg_sleep(600), 'first'")
    await pooled.running('first')
    const first = cancel()
    expect(codes(await client.untilReady())).toEqual(['57014'])
    await client.query('rollback to s')
    await client.untilReady()
    await client.query("select pg_sleep(600), 'second'")
    await pooled.running('second')
    await Promise.all(Array.from({ length: 10 }, cancel))
    expect(ends.cancels).toBe(1)
    await ends.release()
    expect(codes(await client.untilReady())).toEqual(['57014'])
    expect(ends.cancels).toBe(2)
    await ends.release()
    await first
    await client.send(raw.query('rollback'))
    expect(typesOf(await client.untilReady())).toBe('CZ')
  })
})

// On the transaction port the server waits for the first one's end before anybody has it.
test('a second cancel does not hit who has the server next', async () => {
  const { client, login } = await pooled.login('session')
  const cancel = () => client.cancel(login.processId, login.secret)
  await client.query("select pg_sleep(600), 'first'")
  await pooled.running('first')
  const first = cancel()
  expect(codes(await client.untilReady())).toEqual(['57014'])
  await client.query('select 1')
  await client.untilReady()
  await cancel()
  await client.terminate()
  await ends.release()
  await first
  const next = await pooled.client('session')
  expect(await pooled.value(next, 'select pg_sleep(0.2)::text')).toBe('')
  expect(ends.cancels).toBe(1)
})
