import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { StreamTransport } from '../../../pooler/relay/stream-transport.ts'
import type { TransportReader } from '../../../pooler/relay/transport.ts'
import { eventually } from '../../support/eventually.ts'

/** Meets a bug of ours at every turn. */
class FaultyReader implements TransportReader {
  readonly faults: unknown[] = []
  onTransportData(): void {
    throw new Error('data')
  }
  onTransportDrain(): void {
    throw new Error('drain')
  }
  onTransportClosed(): void {
    throw new Error('closed')
  }
  onTransportFault(error: unknown): void {
    this.faults.push((error as Error).message)
  }
}

test('a fault while data, room or an end is told ends the connection and not the process', async () => {
  const reader = new FaultyReader()
  const stream = new PassThrough()
  const transport = new StreamTransport(stream as unknown as Socket, reader)
  transport.pause()
  expect(transport.write(Buffer.alloc(1024 * 1024))).toBe(false)
  transport.resume()
  await eventually(() => expect(reader.faults).toContain('drain'))
  transport.destroy()
  await eventually(() => expect(reader.faults).toContain('closed'))
  expect(reader.faults).toContain('data')
})
