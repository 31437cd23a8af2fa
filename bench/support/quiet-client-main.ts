// A program: one client that asks a small question now and then, and how long each answer took.
import { setTimeout as pause } from 'node:timers/promises'
import type { Address } from './address.ts'
import { answerRequests } from './helper-process.ts'
import { latencies } from './measure.ts'
import { WireClient } from './wire-client.ts'

export interface QuietRequest {
  readonly address: Address
  readonly seconds: number
}

export type QuietReport = ReturnType<typeof latencies> & { readonly answers: number }

/** Between an answer and the next question, on average. */
const pauseMs = 4

answerRequests(async ({ address, seconds }: QuietRequest): Promise<QuietReport> => {
  const client = await WireClient.open(address, false)
  await client.query('SELECT 1')
  const took: number[] = []
  const endMs = performance.now() + seconds * 1000
  while (performance.now() < endMs) {
    await pause(Math.random() * 2 * pauseMs)
    const fromMs = performance.now()
    await client.query('SELECT 1')
    took.push(performance.now() - fromMs)
  }
  await client.close()
  return { answers: took.length, ...latencies(Float64Array.from(took)) }
})
