// Session JWTs, the keys that they are signed with, and the identities of an outside provider.
import { z } from 'zod'
import { epochSeconds, isoTime } from './common.ts'

const ttlSecondsMin = 60
const ttlSecondsMax = 3600
const ttlSecondsUsual = 600

export const sessionBody = z.strictObject({
  ttl_seconds: z.int().min(ttlSecondsMin).max(ttlSecondsMax).default(ttlSecondsUsual),
})

export const sessionAnswer = z.object({ access_token: z.string(), expires_at: epochSeconds })

export const keySetAnswer = z.object({ keys: z.array(z.record(z.string(), z.unknown())) })

export const identityBody = z.strictObject({
  /** Left out: AUTH_ISSUER. */
  issuer: z.string().min(1).max(1000).optional(),
  subject: z.string().min(1).max(255),
})

export const identityAnswer = z.object({
  id: z.string(),
  issuer: z.string(),
  subject: z.string(),
  created_at: isoTime,
})

export const identityListAnswer = z.object({ items: z.array(identityAnswer) })
