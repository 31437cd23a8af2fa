import { PoolerError } from '../../shared/errors.ts'

/** Why a command of the console is not carried out. */
export const refused = (reason: string): PoolerError =>
  new PoolerError('EADMINCOMMAND', { values: { reason } })
