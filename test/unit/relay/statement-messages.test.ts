// A client's messages about statements through the reader of names, against a server that is played
// by hand: what leaves for the server, and what the client is answered by us.

import { beforeEach, describe, expect, test } from 'vitest'
import { PoolCounters } from '../../../pooler/metrics/counters.ts'
import { ClientPump } from '../../../pooler/relay/client-pump.ts'
import { clientStatements, errorForClient } from '../../../pooler/relay/client-statements.ts'
import { ReplyTracker } from '../../../pooler/relay/reply-tracker.ts'
import { SchemaVersion } from '../../../pooler/relay/schema-version.ts'
import type { ServerLink } from '../../../pooler/relay/server-link.ts'
import { ServerStatements } from '../../../pooler/relay/server-statements.ts'
import { StatementCatalog } from '../../../pooler/relay/statement-catalog.ts'
import { plainEnvironment } from '../../../pooler/relay/text-environment.ts'
import type { Transport } from '../../../pooler/relay/transport.ts'
import { forward, type Verdict } from '../../../pooler/relay/verdicts.ts'
import { systemClock } from '../../../shared/clock.ts'
import { PostgresError } from '../../../shared/protocol/error-response.ts'
import * as raw from '../../support/raw-messages.ts'
import { cstringsOf, errorFields, MessageCutter } from '../../support/raw-replies.ts'
import { bothExtremes, cutSegments, type Segmentation, whole } from '../../support/segments.ts'

const environment = plainEnvironment('environment')
const settings = { wanted: new Map(), environment, hasBackslashes: false }
const catalog = new StatementCatalog(Buffer.alloc(32, 1), new SchemaVersion(), systemClock)

/** A server as far as statements are concerned; its replies are given to the tracker by letters. */
class PlayedServer {
  readonly tracker = new ReplyTracker()
  readonly statements = new ServerStatements()
  readonly #cutter = new MessageCutter()
  readonly transport = {
    hold() {},
    write: (bytes: Buffer) => {
      this.#cutter.push(bytes)
      return true
    },
  }

  readonly isBetweenMessages = true

  get link(): ServerLink {
    return this as unknown as ServerLink
  }

  /** What has come since the last look, as `P(name text)`, `B(portal name)`, `D(Sname)`, `Q`. */
  get came(): string[] {
    const lines: string[] = []
    for (let next = this.#cutter.next(); next !== null; next = this.#cutter.next()) {
      const texts = cstringsOf(next.body).slice(0, 2)
      lines.push('PBDC'.includes(next.type) ? `${next.type}(${texts.join(' ').trim()})` : next.type)
    }
    return lines.map((line) => line.replaceAll(/lk_[0-9a-f]{40}/g, 'lk'))
  }

  reply(letters: string): void {
    for (const letter of letters) {
      if ('ITF'.includes(letter)) {
        expect(this.tracker.received(0x5a)).toBe(true)
        this.tracker.ready((letter === 'F' ? 'E' : letter).charCodeAt(0))
      } else expect(this.tracker.received(letter.charCodeAt(0)), letter).toBe(true)
    }
  }
}

class PlayedClient {
  readonly #pump: ClientPump
  readonly statements: ReturnType<typeof clientStatements>
  #server: PlayedServer | null = null
  pinnedBy: string | null = null
  held: Buffer | null = null

  constructor(clientStatementsMax = 5000, serverStatementsMax = 500) {
    const onClientMessage = (message: ClientPump): Verdict => {
      const { link } = this.#server as PlayedServer
      const verdict = this.statements.messages.handle(message, link, settings)
      if (verdict === null) link.tracker.sent(message.type)
      return verdict ?? forward
    }
    this.#pump = new ClientPump({ onClientMessage, onClientBadLength() {}, isDeaf: false })
    this.statements = clientStatements(
      { catalog, clientStatementsMax, serverStatementsMax },
      new PoolCounters(),
      this.#pump,
      { settings, mayBeOthers: false, hasTemporary: false },
      {
        onPinned: (reason) => {
          this.pinnedBy = reason
        },
        onPrepared() {},
        onText() {},
      },
    )
  }

  hold(server: PlayedServer): void {
    if (this.#server !== null) this.statements.names.detach(this.#server.link)
    this.#server = server
    this.#pump.output = server.transport as unknown as Transport
    this.statements.names.attach(server.link)
  }

  /** What the server gets. */
  send(messages: Buffer[], segmentation: Segmentation = whole): string[] {
    for (const chunk of cutSegments(Buffer.concat(messages), segmentation)) {
      this.held = this.held === null ? this.#pump.feed(chunk) : Buffer.concat([this.held, chunk])
    }
    return (this.#server as PlayedServer).came
  }

  goOn(): string[] {
    const held = this.held ?? Buffer.alloc(0)
    this.held = null
    return this.send([held])
  }
}

let server: PlayedServer
let client: PlayedClient
beforeEach(() => {
  server = new PlayedServer()
  client = new PlayedClient()
  client.hold(server)
})
const uses = (name: string) => [raw.bind({ portal: 'p', statement: name }), raw.execute('p')]

describe.each(bothExtremes)('sent $name', ({ segmentation }) => {
  const send = (...messages: Buffer[]) => client.send(messages, segmentation)

  test('names are ours on the way, portals stay, and other messages pass untouched', () => {
    expect(send(raw.query('q'), raw.parse('s', 't'), ...uses('s'), raw.sync())).toEqual([
      'Q',
      'P(lk t)',
      'B(p lk)',
      'E',
      'S',
    ])
    server.reply('CI12CI')
    expect(send(raw.describeMessage('statement', 's'), raw.describeMessage('portal', 's'))).toEqual(
      ['D(Slk)', 'D(Ps)'],
    )
  })

  test('what a new server lacks is put in front, behind what the client sent before', () => {
    send(raw.parse('s', 't'), raw.sync())
    server.reply('1I')
    const other = new PlayedServer()
    client.hold(other)
    expect(send(raw.query('q'), ...uses('s'), ...uses('s'), raw.sync())).toEqual([
      'Q',
      'P(lk t)',
      'B(p lk)',
      'E',
      'B(p lk)',
      'E',
      'S',
    ])
  })

  test('a Parse of what the server has is not sent, and its answer is due in its turn', () => {
    send(raw.parse('s', 't'), raw.sync())
    server.reply('1I')
    const other = new PlayedClient()
    other.hold(server)
    const sent = [raw.closeMessage('portal', 'x'), raw.parse('o', 't'), raw.sync()]
    expect(other.send(sent, segmentation).map((one) => one[0])).toEqual(['C', 'S'])
    expect(server.tracker.isFakeDue).toBe(false)
    server.reply('3')
    expect(server.tracker.isFakeDue).toBe(true)
    expect(server.tracker.takeDueFakes()).toEqual([0x50])
    server.reply('I')
    expect(server.tracker.isReleasable).toBe(true)
  })

  test('behind an Execute, which may begin a copy, the server answers itself', () => {
    send(raw.parse('s', 't'), raw.sync())
    server.reply('1I')
    const other = new PlayedClient()
    other.hold(server)
    const sent = [raw.execute('x'), raw.parse('o', 't'), raw.closeMessage('statement', 'o')]
    const letters = other.send(sent, segmentation).map((one) => one[0])
    expect(letters).toEqual(['E', 'P', 'C', 'C'])
  })

  test('a message that is malformed goes on as it is', () => {
    for (const [letter, body] of [
      ['P', 'no end'],
      ['B', 'no end'],
      ['D', 'Sno end'],
      ['D', ''],
      ['C', 'Qx\0'],
    ] as const) {
      const message = raw.message(letter, Buffer.from(body))
      expect(send(message).length, letter + body).toBe(1)
    }
  })

  test('a named text too long to be kept streams under a name of its own and pins', () => {
    const text = 'x'.repeat(257 * 1024)
    // One byte at a time it takes long, and only the beginning is looked at.
    expect(client.send([raw.parse('s', text), raw.sync()])).toEqual([`P(lk ${text})`, 'S'])
    server.reply('EI')
    expect(client.pinnedBy).toBe(null)
    client.send([raw.parse('s', text), raw.sync()])
    server.reply('1I')
    expect(client.pinnedBy).toBe('large statement')
  })
})

test('what an earlier batch may yet skip is waited for, and then is what became of it', () => {
  const batches = [raw.parse('s', 't'), raw.sync(), ...uses('s'), raw.sync()]
  expect(client.send(batches)).toEqual(['P(lk t)', 'S'])
  expect(client.held).toEqual(Buffer.concat(batches.slice(2)))
  server.reply('EI')
  expect(client.goOn()).toEqual(['B(p s)', 'E', 'S'])
  server.reply('EI')
  expect(client.send([raw.parse('s', 't'), ...uses('s'), raw.sync()])).toEqual([
    'P(lk t)',
    'B(p lk)',
    'E',
    'S',
  ])
})

test('in a transaction that may have failed the server is asked for what it has', () => {
  client.send([raw.parse('s', 't'), raw.sync()])
  server.reply('1F')
  expect(client.send([raw.parse('o', 't'), raw.sync()])).toEqual(['P(lk t)', 'C(Slk)', 'S'])
  server.reply('EF')
  expect(client.send([...uses('o')])[0]).toBe('B(p o)')
})

test('a stale plan has the statement made anew in front of its next use', () => {
  client.send([raw.parse('s', 't'), raw.sync()])
  server.reply('1I')
  client.send([...uses('s'), raw.sync()])
  server.reply('EI')
  const fields = { S: 'ERROR', V: 'ERROR', C: '0A000', M: 'm', R: 'RevalidateCachedQuery' }
  const error = raw.errorResponse(fields)
  const { names } = client.statements
  expect(errorForClient(new PostgresError(error.subarray(5)), names)).toEqual(error)
  expect(client.send([...uses('s'), raw.sync()])).toEqual([
    'C(Slk)',
    'P(lk t)',
    'B(p lk)',
    'E',
    'S',
  ])
})

test('errors name a statement as the client called it when it met the error', () => {
  client.send([raw.parse('one', 't'), raw.parse('two', 't'), raw.sync()])
  server.reply('1')
  server.tracker.takeDueFakes()
  server.reply('I')
  for (const name of ['one', 'two']) {
    client.send([raw.bind({ statement: name }), raw.sync()])
    server.reply('EI')
    const serverName = catalog.take(environment, raw.parse('', 't').subarray(6)).serverName
    const text = `bind message supplies 0 parameters, but prepared statement "${serverName}" requires 1`
    const error = raw.postgresError('ERROR', '08P01', text).subarray(5)
    const told = errorForClient(new PostgresError(error), client.statements.names)
    expect(errorFields((told as Buffer).subarray(5)).M).toContain(
      `prepared statement "${name}" requires`,
    )
  }
})

test('texts on their way count, and those that lapse no more', () => {
  const small = new PlayedClient(2)
  small.hold(server)
  const three = ['a', 'b', 'c'].map((name) => raw.parse(name, name))
  expect(small.send([...three, raw.sync()]).length).toBe(4)
  server.reply('1EI')
  const before = catalog.size
  expect(small.send([raw.parse('b', 'b'), raw.sync()])).toEqual(['P(lk b)', 'S'])
  server.reply('1I')
  expect(catalog.size).toBe(before + 1)
  small.statements.names.detach(server.link)
  small.statements.names.leave()
  expect(catalog.size).toBe(before - 1)
})

test('nobody is held where the answers are all there', () => {
  client.send([raw.parse('s', 't'), raw.sync()])
  server.reply('1I')
  client.send([...uses('s'), raw.sync(), ...uses('s'), raw.sync()])
  expect(client.held).toBe(null)
})

test.each([
  ['a Query', [raw.query('Discard all')], 'Q'],
  ['a batch', [raw.parse('', 'deallocate all'), raw.bind(), raw.execute()], 'P( deallocate all)'],
])('names wait for %s that may close them, which is told to answer', (_what, closing, first) => {
  client.send([raw.parse('s', 't'), raw.sync()])
  server.reply('1I')
  const sent = client.send([...closing, raw.parse('s', 'other'), raw.sync()])
  expect(sent[0]?.replace('P(d', 'P( d')).toBe(first)
  expect(sent.at(-1)).toBe(first === 'Q' ? 'Q' : 'H')
  expect(client.held).not.toBe(null)
  server.reply(first === 'Q' ? 'C' : '12C')
  client.statements.names.onAllClosed()
  if (first === 'Q') server.reply('I')
  expect(client.statements.names.mayGoOn).toBe(true)
  expect(client.goOn()).toEqual(['P(lk other)', 'S'])
})
