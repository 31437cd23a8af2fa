// Random first bytes against everything that reads them before login. Near-valid packets are mended
// and broken more often than noise is sent, because noise ends at the first byte.
import { isUtf8 } from 'node:buffer'
import { expect, test } from 'vitest'
import { identifyTenant } from '../../pooler/startup/identify-tenant.ts'
import { parseOptions } from '../../pooler/startup/startup-options.ts'
import type { StartupPacket } from '../../pooler/startup/startup-packet.ts'
import {
  checkMode,
  readStartupRequest,
  settingsWithJit,
} from '../../pooler/startup/startup-parameters.ts'
import { StartupReader, type StartupStep } from '../../pooler/startup/startup-reader.ts'
import { PoolerError } from '../../shared/errors.ts'
import { freshSeed, type SeededRandom, withSeed } from '../support/seeded-random.ts'
import { cutSegments, randomPieces, type Segmentation, whole } from '../support/segments.ts'
import { packet } from '../unit/startup/packets.ts'

const packets = 10_000

// biome-ignore format: a list of words
const words = [
  'user', 'database', 'options', 'replication', 'application_name', 'jit', 'search_path', '_pq_.x',
  'postgres', 'postgres.ref', 'a.b.ref', '.', 'on', 'database', '-c', '-c=', '--', '--a=b', '-c a=b',
  '-cjit=on', '\\', '\\ ', ' ', '\t', '=', '&', '%', '%00', '%zz', 'reference=x', '-c reference=',
  'log_connections', '__proto__', 'ä', '\u{1f511}', 'x'.repeat(64), 'x'.repeat(300),
]

const versions = [
  0x30000, 0x30001, 0x30002, 0x3270f, 0x3ffff, 0x20000, 0x40000, 80877102, 80877103, 80877104,
  80877105, 0,
]

function text(random: SeededRandom): Buffer {
  const parts = Array.from({ length: random.int(4) }, () => Buffer.from(random.pick(words)))
  if (random.chance(0.1)) parts.push(noise(random, 4))
  return Buffer.concat(parts)
}

function noise(random: SeededRandom, bytesMax: number): Buffer<ArrayBuffer> {
  return Buffer.from(Array.from({ length: random.int(bytesMax + 1) }, () => random.int(256)))
}

function pairsOf(random: SeededRandom): Buffer {
  const parts: Buffer[] = []
  if (random.chance(0.7)) parts.push(Buffer.from('user\0postgres.ref\0'))
  const count = random.chance(0.05) ? random.int(400) : random.int(6)
  for (let pair = 0; pair < count; pair++) {
    const name = random.chance(0.8) ? Buffer.from(random.pick(words)) : text(random)
    parts.push(name, Buffer.of(0), text(random), Buffer.of(0))
  }
  return Buffer.concat([...parts, Buffer.of(0)])
}

function firstBytes(random: SeededRandom): Buffer {
  const kind = random.weighted({ packet: 12, noise: 1, hello: 1, get: 1, cancel: 1 })
  if (kind === 'noise') return noise(random, 200)
  if (kind === 'hello') return Buffer.concat([Buffer.of(0x16), noise(random, 100)])
  if (kind === 'get') return Buffer.from('GET / HTTP/1.1\r\n\r\n'.slice(0, random.int(18)))
  if (kind === 'cancel') return packet(80877102, noise(random, 300))
  const version = random.chance(0.8) ? 0x30000 : random.pick(versions)
  const bytes = packet(version, pairsOf(random))
  if (random.chance(0.1)) bytes.writeUInt32BE(random.int(12_000), 0)
  if (random.chance(0.1)) bytes[random.int(bytes.length)] = random.int(256)
  return bytes.subarray(0, random.chance(0.1) ? random.int(bytes.length) : bytes.length)
}

/** One or several requests before the packet, and what may follow it. */
function conversation(random: SeededRandom): Buffer {
  const parts: Buffer[] = []
  while (random.chance(0.2)) parts.push(packet(random.pick([80877103, 80877104])))
  parts.push(firstBytes(random))
  if (random.chance(0.3)) parts.push(noise(random, 50))
  return Buffer.concat(parts)
}

/** All steps but `more`, until one that ends the start; every N is taken as the answer. */
function stepsOf(bytes: Buffer, isTls: boolean, segmentation: Segmentation): StartupStep[] {
  const reader = new StartupReader({ isTls })
  const steps: StartupStep[] = []
  const nothing = Buffer.alloc(0)
  for (const chunk of cutSegments(bytes, segmentation)) {
    for (let step = reader.feed(chunk); step.kind !== 'more'; step = reader.feed(nothing)) {
      steps.push(step)
      if (step.kind !== 'ssl-request' && step.kind !== 'gssenc-request') return steps
    }
  }
  return steps
}

/** What of a step may not depend on the split. */
function gist(step: StartupStep): unknown {
  switch (step.kind) {
    case 'refused':
      return [step.error.code, step.error.message]
    case 'startup':
      return step.packet
    case 'cancel':
      return [step.processId, step.secret]
    default:
      return step.kind
  }
}

/** The code of the refusal, or what was understood. */
function understand(startupPacket: StartupPacket): unknown {
  try {
    const request = readStartupRequest(startupPacket)
    checkMode(request, 'transaction')
    const identity = identifyTenant(request, {
      serverName: 'db.ref.pooler.test',
      poolerDomain: 'pooler.test',
      listenerMode: 'session',
    })
    return { request, identity, settings: settingsWithJit(request) }
  } catch (error) {
    if (error instanceof PoolerError) return error.code
    throw error
  }
}

test('any first bytes in any split end in the same steps, and never in an exception', async () => {
  const seen = new Set<string>()
  await withSeed(freshSeed(), (random) => {
    for (let count = 0; count < packets; count++) {
      const bytes = conversation(random)
      const isTls = random.chance(0.3)
      const steps = stepsOf(bytes, isTls, whole)
      const cut = stepsOf(bytes, isTls, randomPieces(random, 1 + random.int(40)))
      expect(cut.map(gist), bytes.toString('hex')).toEqual(steps.map(gist))
      for (const step of steps) seen.add(step.kind)
    }
  })
  expect([...seen].sort()).toEqual([
    'cancel',
    'direct-tls',
    'gssenc-request',
    'http-get',
    'refused',
    'ssl-request',
    'startup',
  ])
})

test('any startup packet is understood or refused, and what is understood is within bounds', async () => {
  const seen = new Set<string>()
  await withSeed(freshSeed(), (random) => {
    for (let count = 0; count < packets; count++) {
      const step = new StartupReader({ isTls: false }).feed(packet(0x30000, pairsOf(random)))
      if (step.kind !== 'startup') continue
      const result = understand(step.packet)
      seen.add(typeof result === 'string' ? result : 'understood')
      if (typeof result === 'string') continue
      const { request, identity } = result as {
        request: ReturnType<typeof readStartupRequest>
        identity: ReturnType<typeof identifyTenant>
      }
      expect(Buffer.byteLength(identity.role)).toBeLessThanOrEqual(63)
      expect(identity.role).not.toBe('')
      expect(request.settings.size).toBeLessThanOrEqual(100)
      const texts = [request.user, request.database ?? '', ...request.settings.keys()]
      for (const one of [...texts, ...request.settings.values()]) {
        expect(one.includes('\0')).toBe(false)
        expect(isUtf8(Buffer.from(one))).toBe(true)
      }
    }
  })
  expect(seen).toContain('understood')
  for (const code of ['EOPTIONS', 'EINVALIDUSERINFO', 'ESTARTUPMESSAGE', 'ESTARTUPSETTING']) {
    expect(seen).toContain(code)
  }
})

test('any options text is read or refused, and none hides a key of ours in the settings', async () => {
  let readCount = 0
  await withSeed(freshSeed(), (random) => {
    for (let count = 0; count < packets; count++) {
      const raw = Buffer.concat(Array.from({ length: random.int(6) }, () => text(random)))
      try {
        const { settings } = parseOptions(raw)
        readCount++
        expect(settings.has('reference') || settings.has('jit')).toBe(false)
        for (const name of settings.keys()) expect(name).not.toMatch(/^$|[A-Z-]/)
      } catch (error) {
        if (!(error instanceof PoolerError)) throw error
        expect(error.code).toBe('EOPTIONS')
        expect(error.message.length).toBeLessThan(300)
      }
    }
  })
  expect(readCount).toBeGreaterThan(100)
})
