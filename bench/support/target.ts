import { Client } from 'pg'
import type { Address } from './address.ts'

/** What a case asks of a target beyond passing queries. */
export type Need = 'prepared' | 'tls' | 'scram'

/** Needs that a target cannot meet, and why. */
export type Lacks = Readonly<Partial<Record<Need, string>>>

/** Something that a client can log in to: Postgres itself, or a pooler in front of it. */
export interface Target {
  readonly name: string
  /** The pooler's process; null: there is none in between. */
  readonly pid: number | null
  /** It has children that do the work, as a process in front of workers does. */
  readonly hasWorkers?: boolean
  /** Its processes share most of their memory, so what each has adds up to nothing that is true. */
  readonly hasSharedMemory?: boolean
  readonly lacks: Lacks
  /** More clients at a time than this have no place; absent: as many as any scenario has. */
  readonly clientsMax?: number
  /** Where servers go back after each transaction, if that is what it does. */
  readonly transaction: Address
}

export interface Wanted {
  /** The case, for the word on who is left out of it. */
  readonly by: string
  readonly needs?: readonly Need[]
  readonly clients: number
}

/** Those that can take part; of the others is said why not. */
export function ableTargets(
  targets: readonly Target[],
  { by, needs = [], clients }: Wanted,
  say: (line: string) => void,
): Target[] {
  return targets.filter((target) => {
    const lacking = needs.map((need) => target.lacks[need]).find((why) => why !== undefined)
    const { clientsMax = Number.POSITIVE_INFINITY } = target
    const why = lacking ?? (clients > clientsMax ? `takes ${clientsMax} clients at most` : null)
    if (why !== null) say(`${by}: ${target.name} is left out: ${why}`)
    return why === null
  })
}

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
