// A prepared text that names prepared statements: kept as the client sent it, because what is sent to
// a server depends on what the names stand for when it is used.
import type { Statement } from './statement-catalog.ts'
import { referencesIn, type StatementReference } from './statement-references.ts'
import type { Translation } from './statement-translation.ts'
import type { TextEnvironment, TextSettings } from './text-environment.ts'

export interface NamingText {
  readonly environment: TextEnvironment
  /** The body of Parse behind the name. */
  readonly content: Buffer
  /** One character for each byte. */
  readonly text: string
  readonly references: readonly [StatementReference]
  /** As it was for a server last; null: it was for none. */
  latest: LatestForm | null
}

/** Remembered, because the text may be long, and Binds to it are short and many. */
interface LatestForm {
  readonly stoodFor: Statement | null
  readonly translation: Translation | null
  variant: Statement | null
}

/**
 * null: it names none. So it is with a text that names several: it is more than one statement, which Postgres
 * refuses at Parse. `content` is copied.
 */
export function namingTextOf(
  content: Buffer,
  environment: TextEnvironment,
  settings: TextSettings,
): NamingText | null {
  const end = content.indexOf(0)
  const text = content.toString('latin1', 0, end === -1 ? content.length : end)
  const references = referencesIn(text, settings)
  const [only] = references
  if (only === undefined || references.length > 1) return null
  return { environment, content: Buffer.from(content), text, references: [only], latest: null }
}

/** Until it has run, names of the client's may go. */
export const dropsStatements = (references: readonly StatementReference[]): boolean =>
  references.some(({ verb }) => verb === 'deallocate' || verb === 'all')

/** The body of Parse behind the name, as the server is to have it. */
export function contentFor(naming: NamingText, translation: Translation | null): Buffer {
  if (translation === null) return naming.content
  const types = naming.content.subarray(naming.text.length)
  return Buffer.concat([Buffer.from(translation.text, 'latin1'), types])
}
