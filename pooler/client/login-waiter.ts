// A login that waits for a server: as a promise, because a login happens once.
import type { ClientId } from '../../shared/ids.ts'
import type { ServerLink } from '../relay/server-link.ts'
import type { Refusal, ServerSource, ServerWaiter } from '../relay/server-source.ts'
import { ClientGone } from './login-dialog.ts'
import type { LoginTail } from './login-tail.ts'

/** Rejects with the refusal, or with ClientGone when the client does not wait any more. */
export function waitForServer(
  source: ServerSource,
  tail: LoginTail,
  clientId: ClientId,
  person: string | null,
): Promise<ServerLink> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      tail.onGone = null
    }
    const waiter: ServerWaiter = {
      clientId,
      person,
      onServer(link) {
        settle()
        resolve(link)
      },
      onNoServer(refusal: Refusal) {
        settle()
        reject(refusal)
      },
      // Behind AuthenticationOk, where Postgres may send one as well.
      asides: { notify: (notice) => void tail.transport.write(notice) },
    }
    tail.onGone = () => {
      source.withdraw(waiter)
      reject(new ClientGone('while waiting for a server'))
    }
    const link = tail.isGone ? null : source.checkout(waiter)
    if (link !== null) waiter.onServer(link)
    else if (tail.isGone) reject(new ClientGone('before a server was asked for'))
  })
}
