// The keys that sign session JWTs. The private half lies sealed; processes of one metadata share them.
// When a new one is due, and which one signs, is access/session-keys.ts.
import type { JWK } from 'jose'
import { sql } from 'kysely'
import { type SecretBox, SecretBoxError } from '../../shared/crypto/secret-box.ts'
import type { Secret } from '../../shared/secret.ts'
import type { Database } from './database.ts'

export interface StoredSigningKey {
  readonly kid: string
  readonly publicJwk: JWK
  /** JSON of the private JWK; null: sealed under a key that this process has not. */
  readonly privateJwk: Secret<string> | null
  readonly createdAtMs: number
}

export interface NewSigningKey {
  readonly kid: string
  readonly publicJwk: JWK
  readonly privateJwk: Secret<string>
}

/** Any number that nobody else locks in this database. */
const renewalLock = 4_733_402_171

/** What the private half is sealed for. */
export const signingKeyContext = (kid: string) => ({
  tenant: '',
  role: '',
  field: `signing key ${kid}`,
})

export class SigningKeyStore {
  readonly #db: Database['db']
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#db = database.db
    this.#box = box
  }

  /** Newest first. */
  async list(): Promise<StoredSigningKey[]> {
    return await this.#read(this.#db)
  }

  /**
   * Adds a key where `isDue` says so of those that are there, and removes those that it names. Of
   * several processes that do this at once, the later ones see what the first one made.
   */
  async renew(
    isDue: (keys: readonly StoredSigningKey[]) => boolean,
    make: () => Promise<NewSigningKey>,
    isSpent: (key: StoredSigningKey, keys: readonly StoredSigningKey[]) => boolean,
  ): Promise<StoredSigningKey[]> {
    return await this.#db.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${renewalLock})`.execute(transaction)
      const keys = await this.#read(transaction)
      for (const { kid } of keys.filter((key) => isSpent(key, keys))) {
        await transaction.deleteFrom('signing_keys').where('kid', '=', kid).execute()
      }
      if (isDue(keys)) {
        const { kid, publicJwk, privateJwk } = await make()
        await transaction
          .insertInto('signing_keys')
          .values({
            kid,
            public_jwk: JSON.stringify(publicJwk),
            sealed_jwk: this.#box.seal(privateJwk.reveal(), signingKeyContext(kid)),
          })
          .execute()
      }
      return await this.#read(transaction)
    })
  }

  async #read(db: Pick<Database['db'], 'selectFrom'>): Promise<StoredSigningKey[]> {
    const rows = await db
      .selectFrom('signing_keys')
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('kid')
      .execute()
    return rows.map((row) => ({
      kid: row.kid,
      publicJwk: row.public_jwk as JWK,
      privateJwk: this.#open(row.sealed_jwk, row.kid),
      createdAtMs: row.created_at.getTime(),
    }))
  }

  #open(sealed: Buffer, kid: string): Secret<string> | null {
    try {
      return this.#box.open(sealed, signingKeyContext(kid))
    } catch (error) {
      // VAULT_ENC_KEY was replaced: what the key signed still verifies, and a new one is made.
      if (error instanceof SecretBoxError) return null
      throw error
    }
  }
}
