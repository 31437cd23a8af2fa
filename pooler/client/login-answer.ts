// Everything between AuthenticationOk and the first ReadyForQuery.
import {
  backendKeyData,
  parameterStatus,
  readyForQuery,
} from '../../shared/protocol/backend-messages.ts'
import { status } from '../../shared/protocol/message-types.ts'
import type { CancelKey } from '../cancel/cancel-keys.ts'

export interface LoginReports {
  /** settingKey to value, as the client is to see it. */
  readonly values: ReadonlyMap<string, string>
  /** settingKey to the server's spelling of the name; what has none is not reported. */
  readonly spelling: ReadonlyMap<string, string>
}

export function reportMessages({ values, spelling }: LoginReports): Buffer {
  const messages: Buffer[] = []
  for (const [setting, name] of spelling) {
    const value = values.get(setting)
    if (value !== undefined) messages.push(parameterStatus(name, value))
  }
  return Buffer.concat(messages)
}

const ready = readyForQuery(status.idle)

/** `reports`: what `reportMessages` made. */
export function loginAnswer(reports: Buffer, key: CancelKey, notice: Buffer | null): Buffer {
  const messages = [reports, backendKeyData(key.processId, key.secret)]
  if (notice !== null) messages.push(notice)
  messages.push(ready)
  return Buffer.concat(messages)
}
