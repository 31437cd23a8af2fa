// The answer to a plain `GET ` on a Postgres port, so that TCP load balancers can probe it.
import { assert } from '../../shared/assert.ts'

/** The whole answer; the connection is closed behind it. */
export function healthAnswer(version: string): Buffer {
  assert(/^[\w.+-]+$/.test(version), 'a version is safe in a header line')
  return Buffer.from(
    `HTTP/1.1 204 No Content\r\nx-app-version: ${version}\r\nconnection: close\r\n\r\n`,
    'latin1',
  )
}
