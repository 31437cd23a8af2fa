// What the metadata have sealed (roles' passwords, keys that sign session JWTs), by the key that it lies
// under, and how it comes under another. When that happens is tenant/key-replacement.ts.
import { type RawBuilder, sql } from 'kysely'
import { type SecretBox, SecretBoxError } from '../../shared/crypto/secret-box.ts'
import type { Database } from './database.ts'
import { signingKeyContext } from './signing-keys.ts'
import { passwordContext } from './tenant-rows.ts'

export type SealedKind = 'password' | 'signing key'
/** `other`: neither VAULT_ENC_KEY nor the one before. */
export type SealedUnder = 'current' | 'previous' | 'other'
export type SealedCounts = Readonly<Record<SealedKind, Readonly<Record<SealedUnder, number>>>>

export interface SealedBatch {
  /** Where the next batch goes on; null: there is none. */
  readonly next: string | null
  readonly sealed: number
  /** Under the previous key, and yet it does not open: damaged, or of another row. */
  readonly broken: readonly string[]
}

interface SealedRow {
  readonly id: string
  readonly sealed: Buffer
  readonly ref: string
  readonly role: string
}

const batchRowsMax = 100

/** The key's id in a box (shared/crypto/secret-box.ts). */
const keyIdIn = (column: RawBuilder<unknown>) => sql<Buffer>`substring(${column} from 2 for 4)`
const passwordColumn = sql.raw('db_password')
const signingColumn = sql.raw('sealed_jwk')

export class SealedSecrets {
  readonly #db: Database['db']
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#db = database.db
    this.#box = box
  }

  async count(): Promise<SealedCounts> {
    const { rows } = await sql<{ kind: SealedKind; key_id: Buffer; count: number }>`
      select 'password' as kind, ${keyIdIn(passwordColumn)} as key_id, count(*)
        from latchkey.tenant_roles where db_password is not null group by 2
      union all
      select 'signing key', ${keyIdIn(signingColumn)}, count(*) from latchkey.signing_keys group by 2
    `.execute(this.#db)
    const counts = { password: none(), 'signing key': none() }
    for (const { kind, key_id: keyId, count } of rows) {
      counts[kind][this.#box.keyOf(keyId)] += count
    }
    return counts
  }

  /**
   * Seals passwords anew, one batch in one transaction. Rows that somebody else is changing are left
   * for the next time, so nobody waits long for us, we wait for nobody, and no change is lost.
   */
  async sealPasswords(after: string): Promise<SealedBatch> {
    const previous = this.#box.previousKeyId
    if (previous === null) return { next: null, sealed: 0, broken: [] }
    return await this.#db.transaction().execute(async (transaction) => {
      await sql`select set_config('latchkey.sealing_anew', 'on', true)`.execute(transaction)
      const { rows } = await sql<SealedRow>`
        select id::text, db_password as sealed, project_ref as ref, db_user as role
          from latchkey.tenant_roles
          where id > ${after}::uuid and ${keyIdIn(passwordColumn)} = ${previous}
          order by id limit ${batchRowsMax} for update skip locked
      `.execute(transaction)
      const anew = this.#sealAnew(rows, ({ ref, role }) => passwordContext(ref, role))
      await sql`
        update latchkey.tenant_roles as role set db_password = given.sealed
          from unnest(${anew.ids}::uuid[], ${anew.boxes}::bytea[]) as given (id, sealed)
          where role.id = given.id
      `.execute(transaction)
      const next = rows.length < batchRowsMax ? null : (rows.at(-1)?.id ?? null)
      return { next, sealed: anew.ids.length, broken: anew.broken }
    })
  }

  /** There are a handful, and nobody changes one. */
  async sealSigningKeys(): Promise<SealedBatch> {
    const previous = this.#box.previousKeyId
    if (previous === null) return { next: null, sealed: 0, broken: [] }
    return await this.#db.transaction().execute(async (transaction) => {
      const { rows } = await sql<SealedRow>`
        select kid as id, sealed_jwk as sealed, '' as ref, '' as role from latchkey.signing_keys
          where ${keyIdIn(signingColumn)} = ${previous} for update skip locked
      `.execute(transaction)
      const anew = this.#sealAnew(rows, ({ id }) => signingKeyContext(id))
      await sql`
        update latchkey.signing_keys as key set sealed_jwk = given.sealed
          from unnest(${anew.ids}::text[], ${anew.boxes}::bytea[]) as given (id, sealed)
          where key.kid = given.id
      `.execute(transaction)
      return { next: null, sealed: anew.ids.length, broken: anew.broken }
    })
  }

  /** Removes what neither key opens. Roles stay, without a password; keys that sign are made anew. */
  async forget(): Promise<number> {
    const ours = [this.#box.currentKeyId, this.#box.previousKeyId].filter((id) => id !== null)
    return await this.#db.transaction().execute(async (transaction) => {
      const passwords = await sql`
        update latchkey.tenant_roles set db_password = null
          where db_password is not null and not (${keyIdIn(passwordColumn)} = any(${ours}::bytea[]))
      `.execute(transaction)
      const keys = await sql`
        delete from latchkey.signing_keys
          where not (${keyIdIn(signingColumn)} = any(${ours}::bytea[]))
      `.execute(transaction)
      return Number((passwords.numAffectedRows ?? 0n) + (keys.numAffectedRows ?? 0n))
    })
  }

  #sealAnew(
    rows: readonly SealedRow[],
    contextOf: (row: SealedRow) => ReturnType<typeof passwordContext>,
  ) {
    const ids: string[] = []
    const boxes: Buffer[] = []
    const broken: string[] = []
    for (const row of rows) {
      const context = contextOf(row)
      try {
        boxes.push(this.#box.seal(this.#box.open(row.sealed, context).reveal(), context))
        ids.push(row.id)
      } catch (error) {
        if (!(error instanceof SecretBoxError)) throw error
        broken.push(row.ref === '' ? row.id : `${row.role}.${row.ref}`)
      }
    }
    return { ids, boxes, broken }
  }
}

const none = (): Record<SealedUnder, number> => ({ current: 0, previous: 0, other: 0 })
