import { PoolerError } from '../../shared/errors.ts'
import type { AdminConsole } from '../admin/admin-console.ts'
import { adminSessionsMax } from '../config/limits.ts'
import type { StartupRequest } from '../startup/startup-parameters.ts'
import type { AdminLogin } from './admin-login.ts'
import { AdminSession } from './admin-session.ts'
import { type Arrival, tellVersion } from './arrival.ts'
import type { ClientConnection } from './client-connection.ts'
import type { ClientServices } from './client-services.ts'

/** The console's door and the console itself, with those who are in. */
export interface AdminServices {
  readonly login: AdminLogin
  readonly console: AdminConsole
  readonly sessions: Set<AdminSession>
}

/** False for a connection that is not the console's. Fulfilled when the operator has left. */
export async function serveAdmin(
  connection: ClientConnection,
  arrival: Arrival,
  request: StartupRequest,
  services: ClientServices,
): Promise<boolean> {
  const admin = services.admin()
  if (admin === null) return false
  const { login, console, sessions } = admin
  if (!(await login.isMeant(request, arrival, connection))) return false
  if (sessions.size >= adminSessionsMax) {
    const reason = `${adminSessionsMax} operators are at the console`
    throw new PoolerError('EMAXCONNPROCESS', { values: { reason } })
  }
  tellVersion(arrival)
  const { user, rest } = await login.authenticate(request, arrival, connection)
  connection.onOperator(user.name)
  const session = new AdminSession({
    socket: arrival.socket,
    rest,
    user,
    console,
    cancelKeys: services.cancelKeys,
    version: services.version,
    isLongKey: request.minor >= 2,
  })
  sessions.add(session)
  try {
    await session.run()
  } finally {
    sessions.delete(session)
  }
  return true
}
