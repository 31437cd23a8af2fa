// With what servers of a role are opened: the stored password, else the ClientKey that the latest
// client login left (SCRAM passthrough). Tokens never come here.
import { timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { assert } from '../../shared/assert.ts'
import type { ScramSecret } from '../../shared/crypto/scram-client.ts'
import { type ScramKeys, storedKeyOf } from '../../shared/crypto/scram-keys.ts'
import type { ScramVerifier } from '../../shared/crypto/scram-verifier.ts'
import type { Secret } from '../../shared/secret.ts'
import type { Tenant } from '../tenant/tenant.ts'

/** A role in use has one; the role used least recently has to log in again when it is full. */
const keysMax = 50_000

/** Those that nobody has logged in as since the change; one too many keeps its servers for their lifetime. */
const outdatedMax = 10_000

interface Remembered {
  readonly keys: ScramKeys
  readonly verifier: ScramVerifier
}

export class Credentials {
  readonly #remembered = new LRUCache<string, Remembered>({ max: keysMax })
  /** Roles whose key has been forgotten because the database has another password for them. */
  readonly #outdated = new LRUCache<string, true>({ max: outdatedMax })
  #tellRenewed: (tenantRef: string, role: string) => void = () => {}

  /** Called when servers of a role can be opened with another password than before, or with one at all. */
  onRenewed(tell: (tenantRef: string, role: string) => void): void {
    this.#tellRenewed = tell
  }

  /** null: nothing is known, only a server that asks for nothing will open. */
  forServer(tenant: Tenant, role: string): ScramSecret | null {
    const password = storedPassword(tenant, role)
    if (password !== null) return { password }
    return this.#remembered.get(keyOf(tenant, role))?.keys ?? null
  }

  /** After a login against a real verifier, and only then. */
  rememberClientKey(
    tenant: Tenant,
    role: string,
    clientKey: Secret<Buffer>,
    verifier: ScramVerifier,
  ): void {
    const key = keyOf(tenant, role)
    const before = this.#remembered.get(key)
    // The same password once more, as nearly always: nothing is new.
    if (before?.verifier === verifier && isEqual(before.keys.clientKey, clientKey)) return
    const isOwn = timingSafeEqual(storedKeyOf(clientKey.reveal()), verifier.storedKey.reveal())
    assert(isOwn, 'a ClientKey is remembered with the verifier that it was proved against')
    const keys = { clientKey, serverKey: verifier.serverKey }
    this.#remembered.set(key, { keys, verifier })
    const isRenewed = this.#outdated.delete(key)
    // Where the project has moved, some may be being opened with nothing: that fails, and not for whoever comes now.
    const isOther =
      before === undefined
        ? storedPassword(tenant, role) === null
        : !isSame(before.verifier, verifier)
    if (isRenewed || isOther) this.#tellRenewed(tenant.ref, role)
  }

  /** The database has this verifier now; null: none that a login could use. Forgets older keys. */
  noteVerifier(tenant: Tenant, role: string, verifier: ScramVerifier | null): void {
    const key = keyOf(tenant, role)
    const known = this.#remembered.peek(key)
    if (known === undefined) return
    if (verifier !== null && isSame(known.verifier, verifier)) return
    this.#remembered.delete(key)
    this.#outdated.set(key, true)
  }
}

const storedPassword = (tenant: Tenant, role: string): Secret<string> | null =>
  tenant.roles.get(role)?.password ?? null

/** A project that moves to another host shows the new one nothing that belongs to the old one. */
const keyOf = (tenant: Tenant, role: string): string =>
  `${tenant.id}\0${tenant.dbHost}\0${tenant.dbPort}\0${role}`

const isEqual = (one: Secret<Buffer>, other: Secret<Buffer>): boolean =>
  timingSafeEqual(one.reveal(), other.reveal())

const isSame = (one: ScramVerifier, other: ScramVerifier): boolean =>
  one.iterations === other.iterations &&
  one.salt.equals(other.salt) &&
  isEqual(one.storedKey, other.storedKey) &&
  isEqual(one.serverKey, other.serverKey)
