// What a worker sends, looked at before the primary acts on it: a worker talks to the whole world, and
// one that has gone wrong must take neither the primary nor the other workers along. Fields that are
// not known are left out, as those of a newer version.
import { z } from 'zod'
import { refBytesMax } from '../config/limits.ts'
import type { CallName, ToPrimary } from './worker-messages.ts'

/** A worker has said what no version of it says. */
export class WorkerFault extends Error {
  override readonly name = 'WorkerFault'
}

/** What one worker may ask of the others. `held` is the primary's alone to tell. */
const callNames = [
  'reload',
  'cancel',
  'wrong',
  'metrics',
  'sessions',
  'figures',
  'lift',
  'terminate',
  'facts',
  'act',
  'clients',
  'schemas',
] as const satisfies readonly CallName[]

/** Project, role, database and token of a pool, quoted. */
const keyCharactersMax = 4_000
const id = z.int().positive()
const total = z.int().nonnegative()
const name = z.string().max(refBytesMax).nullable()
const way = z.enum(['at once', 'wait for clients', 'wait for servers'])
const port = z.int().min(0).max(65_535)
const target = z.object({ tenantRef: name, role: name, database: name })

const messages = {
  hello: z.object({ kind: z.literal('hello'), version: z.string() }),
  ready: z.object({
    kind: z.literal('ready'),
    ports: z.object({ transaction: port, session: port, apiUrl: z.string().refine(URL.canParse) }),
  }),
  failed: z.object({ kind: z.literal('failed'), text: z.string() }),
  permits: z.object({
    kind: z.literal('permits'),
    report: z.object({
      id,
      key: z.string().max(keyCharactersMax),
      seq: total,
      limit: z.number().nonnegative().nullable(),
      wants: z.int(),
      waitedMs: z.number().nullable(),
      granted: total,
      given: total,
      isBusy: z.boolean(),
      isLast: z.boolean(),
    }),
  }),
  call: z.object({
    kind: z.literal('call'),
    id: id.nullable(),
    call: z.object({
      name: z.string(),
      asked: z.unknown(),
      withinMs: z.number().nonnegative().nullable(),
    }),
  }),
  hold: z.object({
    kind: z.literal('hold'),
    id,
    change: z.union([
      z.object({ kind: z.literal('pause'), target, orIs: z.literal(true).optional() }),
      z.object({ kind: z.literal('resume'), target }),
      z.object({ kind: z.enum(['disable', 'enable']), ref: z.string().max(refBytesMax) }),
    ]),
  }),
  answer: z.object({
    kind: z.literal('answer'),
    id,
    answer: z.object({ answer: z.unknown(), fault: z.string().nullable() }),
  }),
  shutdown: z.object({ kind: z.literal('shutdown'), how: way }),
} as const satisfies Record<ToPrimary['kind'], z.ZodType>

/** Null: of a kind that is not known here, as a newer version's. Throws WorkerFault. */
export function readWorkerWords(words: unknown): ToPrimary | null {
  const kind = (words as { readonly kind?: unknown } | null)?.kind
  if (typeof kind !== 'string') throw new WorkerFault('a message of no kind')
  if (!Object.hasOwn(messages, kind)) return null
  const read = messages[kind as ToPrimary['kind']].safeParse(words)
  if (read.success) return read.data as ToPrimary
  const [issue] = read.error.issues
  throw new WorkerFault(`a message "${kind}": ${issue?.path.join('.')} ${issue?.message}`)
}

/** It may be passed on to the other workers. */
export const isCallName = (asked: string): asked is CallName =>
  (callNames as readonly string[]).includes(asked)
