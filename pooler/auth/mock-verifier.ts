// Verifiers for roles that have none, so that an exchange with an unknown role looks like one with a
// known role: the same in every process and after a restart, and different for each name.
import { hmacSha256 } from '../../shared/crypto/scram-keys.ts'
import type { ScramVerifier } from '../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../shared/secret.ts'

/** As long as those of Postgres. */
const saltBytes = 16

export class MockVerifiers {
  readonly #key: Secret<Buffer>

  /** `key`: SecretBox.deriveKey with a label of its own. */
  constructor(key: Secret<Buffer>) {
    this.#key = key
  }

  /** `iterations`: what the tenant's real roles have. Nobody knows a password for it. */
  verifierFor(tenantRef: string, role: string, iterations: number): ScramVerifier {
    return {
      iterations,
      salt: this.saltFor(tenantRef, role),
      storedKey: new Secret(this.#make('stored key', tenantRef, role)),
      serverKey: new Secret(this.#make('server key', tenantRef, role)),
    }
  }

  /**
   * Also the salt of roles whose password we store: a random one would change with each restart,
   * where that of an unknown role does not, and so would tell which roles exist.
   */
  saltFor(tenantRef: string, role: string): Buffer {
    return this.#make('salt', tenantRef, role).subarray(0, saltBytes)
  }

  /** JSON keeps the parts apart, whatever is in them. */
  #make(what: string, tenantRef: string, role: string): Buffer {
    return hmacSha256(this.#key.reveal(), JSON.stringify([what, tenantRef, role]))
  }
}
