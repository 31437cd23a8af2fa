// One line per event on stdout: JSON, or text when a terminal looks. Secrets belong in Secret<T>,
// which prints itself redacted; the paths below are a second line of defence. Text that a client
// chose (role, database, application name) cannot forge a line or steer a terminal.
import { createRequire } from 'node:module'
import { pino } from 'pino'
import type { LogLevel } from './error-catalogue.ts'
import { serializeError } from './log-error.ts'

export interface Log {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
  /** A log whose every line carries these fields too. */
  child(fields: object): Log
}

/** As `child`, for what seldom says anything: nothing is prepared for it. */
export function logWith(log: Log, fields: object): Log {
  return new LogWith(log, fields)
}

class LogWith implements Log {
  readonly #log: Log
  readonly #fields: object

  constructor(log: Log, fields: object) {
    this.#log = log
    this.#fields = fields
  }

  debug(more: object, text: string): void {
    this.#log.debug({ ...this.#fields, ...more }, text)
  }

  info(more: object, text: string): void {
    this.#log.info({ ...this.#fields, ...more }, text)
  }

  warn(more: object, text: string): void {
    this.#log.warn({ ...this.#fields, ...more }, text)
  }

  error(more: object, text: string): void {
    this.#log.error({ ...this.#fields, ...more }, text)
  }

  child(more: object): Log {
    return new LogWith(this.#log, { ...this.#fields, ...more })
  }
}

export type LogFormat = 'auto' | 'json' | 'text'

export interface LogSink {
  write(line: string): void
}

export interface LogOptions {
  readonly level: LogLevel
  /** auto: text when stdout is a terminal and pino-pretty is installed, else JSON. */
  readonly format: LogFormat
  /** Where the lines go; stdout when missing. */
  readonly sink?: LogSink
}

export function createLog({ level, format, sink = openStdout() }: LogOptions): Log {
  const isText = format === 'text' || (format === 'auto' && process.stdout.isTTY === true)
  const prettify = isText ? loadPrettifier() : null
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError, error: serializeError },
      redact: { paths: redactedPaths, censor: '[redacted]' },
    },
    {
      write: (line) =>
        sink.write(prettify === null ? escapeUnprintable(line) : prettify(escapeForTerminal(line))),
    },
  )
}

export const nullLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => nullLog,
}

/** Beyond this much unwritten text lines are dropped: a reader of stdout that stopped reading. */
const bufferedBytesMax = 16 * 1024 * 1024

/** Writes without holding up the event loop; what is buffered is written when the process exits. */
function openStdout(): LogSink {
  return pino.destination({ dest: 1, sync: false, maxLength: bufferedBytesMax })
}

/** Whatever stands under these names is hidden whole: say `tokenId`, not `token: {id}`. */
const secretNames = ['password', 'passwd', 'secret', 'token', 'authorization', 'cookie', 'apikey']
const redactedPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

/** DEL, the C1 controls, line separators and bidirectional overrides, which JSON leaves as they are. */
const unprintable = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** Outside strings these characters do not occur in JSON, so the line stays the same JSON value. */
function escapeUnprintable(jsonLine: string): string {
  return jsonLine.replace(
    unprintable,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * Makes JSON's own escapes survive being parsed once, so that a terminal is shown `\u001b` and `\n`
 * and not their effect. A line break before a stack frame stays one.
 */
function escapeForTerminal(jsonLine: string): string {
  const line = escapeUnprintable(jsonLine)
  return line.replace(/\\(u[0-9a-f]{4}|n {4}at |.)/gi, (match, rest: string) => {
    const isHarmless = rest === '"' || rest === '\\' || rest === '/' || rest.startsWith('n    at ')
    return isHarmless ? match : `\\${match}`
  })
}

/** pino-pretty is a convenience of development; a container without it logs JSON. */
function loadPrettifier(): ((line: string) => string) | null {
  try {
    const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty')
    return pretty.prettyFactory({
      colorize: process.stdout.isTTY === true,
      ignore: 'pid',
      translateTime: 'SYS:HH:MM:ss.l',
      singleLine: true,
    })
  } catch {
    return null
  }
}
