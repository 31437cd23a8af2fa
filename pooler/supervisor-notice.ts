// Tells systemd how we are doing (sd_notify(3)), by its own program: Node has no datagram sockets in the
// file system. Without NOTIFY_SOCKET nobody wants to know.
import { execFile } from 'node:child_process'
import type { Log } from '../shared/log.ts'

const timeoutMs = 5_000

/** `words`: `READY=1`, `STOPPING=1`, `MAINPID=…`. Never fails; a failure is a warning in the log. */
export function tellSupervisor(
  env: Readonly<Record<string, string | undefined>>,
  log: Log,
  ...words: readonly string[]
): Promise<void> {
  const { NOTIFY_SOCKET, PATH } = env
  if (!NOTIFY_SOCKET) return Promise.resolve()
  return new Promise((resolve) => {
    const options = { env: { NOTIFY_SOCKET, PATH }, timeout: timeoutMs }
    execFile('systemd-notify', [...words], options, (error) => {
      if (error !== null) log.warn({ err: error, words }, 'the supervisor could not be told')
      resolve()
    })
  })
}
