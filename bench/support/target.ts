import { Client } from 'pg'
import type { Address } from './address.ts'

/** Something that a client can log in to: Postgres itself, or a pooler in front of it. */
export interface Target {
  readonly name: string
  /** The pooler's process; null: there is none in between. */
  readonly pid: number | null
  /** It has children that do the work, as a process in front of workers does. */
  readonly hasWorkers?: boolean
  /** Named statements of the protocol hold where servers go back after each transaction. */
  readonly hasPrepared: boolean
  /** Where servers go back to the pool after each transaction. */
  readonly transaction: Address
  /** Where a client keeps its server. */
  readonly session: Address
}

/** Named statements hold on the transaction port. */
export const supportsPrepared = (target: Target): boolean => target.hasPrepared

/** Throws when one cannot log in and ask. */
export async function checkLogin(address: Address): Promise<void> {
  const client = new Client(address)
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
  } finally {
    await client.end().catch(() => {})
  }
}
