// Pieces that many routes share.
import { z } from 'zod'

/** Usually a DNS label; whatever stands in the path is looked up as it is. */
export const refParams = z.object({ ref: z.string().min(1).max(128) })
/**
 * In UUID form and of any version: the guide's own example has none. In one spelling, since who is
 * who is compared as text.
 */
export const userId = z.guid().toLowerCase()
export const userParams = z.object({ user_id: userId })
export const memberParams = refParams.extend(userParams.shape)

/** Every refusal says what is wrong, and may say more beside it. */
export const refusal = z.looseObject({ message: z.string() })
export const refusals = { '4xx': refusal, '5xx': refusal } as const

export const nothing = z.undefined().describe('empty')

export const isoTime = z.string().describe('ISO 8601')
export const epochSeconds = z.number().describe('epoch seconds')
