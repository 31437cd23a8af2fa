// VAULT_ENC_KEY is replaced while the pooler serves: what lies under VAULT_ENC_KEY_PREVIOUS is sealed
// anew, a batch at a time, by every process that has both. A process that ends in between leaves each
// row under one key or the other, and the next goes on from there.
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { SealedBatch, SealedCounts, SealedSecrets } from '../store/sealed-secrets.ts'

export interface KeyReplacementOptions {
  readonly secrets: Pick<SealedSecrets, 'count' | 'sealPasswords' | 'sealSigningKeys'>
  readonly hasPreviousKey: boolean
  readonly clock: Clock
  readonly log: Log
}

/** Told to the operator as it stands. */
export class VaultKeyError extends Error {
  override readonly name = 'VaultKeyError'
}

/**
 * Throws VaultKeyError where the key opens nothing that is stored. One that opens a part is let in: what
 * somebody sealed with a wrong key must not keep everybody else's projects from being served.
 */
export function refuseWrongKey({ password }: SealedCounts): void {
  if (password.other === 0 || password.current + password.previous > 0) return
  throw new VaultKeyError(
    `VAULT_ENC_KEY: opens none of the ${password.other} stored passwords, another key has sealed them; set that one, or both (the other as VAULT_ENC_KEY_PREVIOUS) to replace it; where it is lost, node pooler/main.ts vault forget removes what it sealed`,
  )
}

/** Between two batches: others want the metadata too. */
const pauseMs = 50
/** Rows that were left, and what a process with the old key alone has written since. */
const againMs = 60_000
const firstId = '00000000-0000-0000-0000-000000000000'

export class KeyReplacement {
  readonly #options: KeyReplacementOptions
  #counts: SealedCounts | null = null
  #isClosed = false
  /** Ends the present rest. */
  #wake: () => void = () => {}
  /** Said once for each state, not every minute. */
  #said = ''
  #pass: Promise<void> = Promise.resolve()

  constructor(options: KeyReplacementOptions) {
    this.#options = options
  }

  /** As last counted; null: not yet. */
  get counts(): SealedCounts | null {
    return this.#counts
  }

  /** Throws VaultKeyError where the key is plainly not the one. */
  async check(): Promise<void> {
    refuseWrongKey(await this.#count())
    this.#say()
  }

  /** For a process that serves: one that fails to start must not have changed anything. */
  start(): void {
    this.#pass = this.#run()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake()
    await this.#pass
  }

  async #run(): Promise<void> {
    const { hasPreviousKey, secrets, log } = this.#options
    while (!this.#isClosed) {
      try {
        if (hasPreviousKey) {
          await this.#batches((after) => secrets.sealPasswords(after))
          await this.#batches(() => secrets.sealSigningKeys())
        }
        await this.#count()
        this.#say()
      } catch (error) {
        if (!this.#isClosed) log.warn({ err: error }, 'stored secrets could not be sealed anew yet')
      }
      await this.#rest(againMs)
    }
  }

  async #batches(seal: (after: string) => Promise<SealedBatch>): Promise<void> {
    let after: string | null = firstId
    while (after !== null && !this.#isClosed) {
      const { next, broken }: SealedBatch = await seal(after)
      if (broken.length > 0) {
        this.#options.log.error(
          { secrets: broken },
          'sealed with VAULT_ENC_KEY_PREVIOUS but damaged, or of another place: set these passwords again',
        )
      }
      after = next
      if (after !== null) await this.#rest(pauseMs)
    }
  }

  async #count(): Promise<SealedCounts> {
    this.#counts = await this.#options.secrets.count()
    return this.#counts
  }

  #say(): void {
    const { hasPreviousKey, log } = this.#options
    const counts = this.#counts
    if (counts === null) return
    const said = JSON.stringify(counts)
    if (said === this.#said) return
    this.#said = said
    const { password, 'signing key': signing } = counts
    if (password.other > 0) {
      log.error(
        { passwords: password.other },
        'stored passwords that no key here opens: VAULT_ENC_KEY_PREVIOUS lacks the key that sealed them, or they have to be set again',
      )
    }
    const left = password.previous + signing.previous
    if (hasPreviousKey && left === 0) {
      log.info(
        { sealed: password.current + signing.current },
        'everything is sealed with VAULT_ENC_KEY: VAULT_ENC_KEY_PREVIOUS is no longer needed',
      )
    } else if (left > 0) {
      log.info({ left }, 'stored secrets are sealed anew with VAULT_ENC_KEY')
    }
  }

  #rest(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    return new Promise((rested) => {
      const timer = this.#options.clock.after(ms, rested)
      this.#wake = () => {
        timer.cancel()
        rested()
      }
    })
  }
}
