import { PoolerError } from '../../shared/errors.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { ApiDeps } from './api-deps.ts'

/** Whatever keeps a project's database from answering is EUPSTREAM to the caller; the log has the rest. */
export async function askDatabase<Answer>(
  { log }: Pick<ApiDeps, 'log'>,
  { ref }: Tenant,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof PoolerError) throw error
    log.warn({ err: error, project: ref }, 'a database could not be asked')
    throw new PoolerError('EUPSTREAM', { values: { ref }, cause: error })
  }
}
