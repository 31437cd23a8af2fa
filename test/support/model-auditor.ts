// Watches the server side of a pooler: which client's messages reach which server connection, and
// when. A period of a connection begins with the first message at rest and ends when the server is
// at rest again and its last reply has gone out; one period belongs to one client.

/** What the auditor knows of one server connection. */
export interface AuditedServer {
  readonly processId: number
  /** The client of the present period; null between periods and for messages without a tag. */
  owner: string | null
  /** The client of the period before. */
  previousOwner: string | null
  isInPeriod: boolean
  /** Whose messages half-ended the present transaction (ModelTransaction.startCommand). */
  halfEndedBy: string | null
  /** Letters and tags of the latest messages, for failure texts. */
  readonly log: string[]
}

const logEntriesMax = 60

/** `c7` of `c7.12`: tags are a client's name, a dot and a number (pipeline-generator.ts). */
const tagPattern = /\b([a-z]+[0-9]+)\.[0-9]+\b/g

/** Bodies that may hold a tag: texts, bound values, copy data, arguments. */
const taggedTypes = 'QPBdfF'

/** Messages that a server at rest ignores. */
export const copyTypes = 'dcf'

/** The clients named in a message. */
export function clientsIn(type: string, body: Buffer): string[] {
  if (!taggedTypes.includes(type)) return []
  const matches = body.toString('latin1').matchAll(tagPattern)
  return [...new Set([...matches].map(([, client]) => client as string))]
}

export class ModelAuditor {
  readonly violations: string[] = []
  /** Connections at this moment, and the most there ever were. */
  openConnections = 0
  peakConnections = 0
  /** Periods that had an owner, and those whose owner was not the one of the period before. */
  periods = 0
  handovers = 0
  /** Cancel requests that ended something, with the owner of that moment. */
  readonly cancelled: (string | null)[] = []
  readonly #connectionsMax: number

  /** More than `connectionsMax` connections at once are a violation. */
  constructor(connectionsMax = Number.POSITIVE_INFINITY) {
    this.#connectionsMax = connectionsMax
  }

  opened(processId: number): AuditedServer {
    this.openConnections += 1
    this.peakConnections = Math.max(this.peakConnections, this.openConnections)
    const server: AuditedServer = {
      processId,
      owner: null,
      previousOwner: null,
      isInPeriod: false,
      halfEndedBy: null,
      log: [],
    }
    if (this.openConnections > this.#connectionsMax) {
      this.#violation(
        server,
        `${this.openConnections} connections, ${this.#connectionsMax} allowed`,
      )
    }
    return server
  }

  closed(): void {
    this.openConnections -= 1
  }

  /** A whole message has come in, whether or not the one before has been answered. */
  arrived(server: AuditedServer, type: string, body: Buffer): void {
    const clients = clientsIn(type, body)
    server.log.push(clients.length === 0 ? type : `${type}(${clients.join()})`)
    if (server.log.length > logEntriesMax) server.log.shift()
    // Outside of a copy these mean nothing, whoever comes next.
    if (!server.isInPeriod && copyTypes.includes(type)) return
    server.isInPeriod = true
    for (const client of clients) {
      if (server.owner === null) this.#takeOver(server, client)
      else if (server.owner !== client) {
        this.#violation(server, `a message of ${client} in a period of ${server.owner}`)
      }
    }
  }

  /** The server is at rest and its last reply is on its way. */
  rested(server: AuditedServer): void {
    if (!server.isInPeriod) return
    server.isInPeriod = false
    server.log.push('|')
    if (server.owner !== null) server.previousOwner = server.owner
    server.owner = null
  }

  halfEnded(server: AuditedServer): void {
    server.halfEndedBy = server.owner
  }

  /**
   * The message that comes now will fail for a fault that the client who half-ended the transaction
   * made; told only where that was another one.
   */
  inherited(server: AuditedServer): void {
    const { owner, halfEndedBy } = server
    if (owner === null || halfEndedBy === null || owner === halfEndedBy) return
    this.#violation(server, `${owner} was given the half-ended transaction of ${halfEndedBy}`)
  }

  cancelledWork(server: AuditedServer): void {
    server.log.push('cancel')
    this.cancelled.push(server.owner)
  }

  /** Throws all violations. */
  assertClean(): void {
    if (this.violations.length > 0) throw new Error(this.violations.join('\n'))
  }

  #takeOver(server: AuditedServer, client: string): void {
    server.owner = client
    this.periods += 1
    if (server.previousOwner !== null && server.previousOwner !== client) this.handovers += 1
  }

  #violation(server: AuditedServer, text: string): void {
    this.violations.push(`server ${server.processId}: ${text}; messages: ${server.log.join(' ')}`)
  }
}
