// Seals what the store keeps: AES-256-GCM under a key from VAULT_ENC_KEY. A box opens only for the
// place it was made for, so a row that was copied to another tenant, role or field opens for nobody.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { Secret } from '../secret.ts'

// A box:  | format 1 B | key id 4 B | nonce 12 B | ciphertext | tag 16 B |
// Associated data: the first five bytes, then tenant, role and field, each with its length in front.
const format = 1
const keyIdAt = 1
const nonceAt = 5
const ciphertextAt = 17
const nonceBytes = 12
const tagBytes = 16

/** Where a sealed text belongs. */
export interface SealContext {
  readonly tenant: string
  readonly role: string
  readonly field: string
}

export interface SecretBoxKeys {
  /** Seals and opens. 32 characters or 64 hex digits. */
  readonly current: Secret<string>
  /** Only opens: what was sealed before the key was changed. */
  readonly previous?: Secret<string> | null
}

/** The key text has the wrong shape, or a box cannot be opened. Never says what either holds. */
export class SecretBoxError extends Error {
  override readonly name = 'SecretBoxError'
}

interface BoxKey {
  readonly id: Buffer
  readonly cipherKey: Buffer
}

export class SecretBox {
  readonly #master: Buffer
  readonly #current: BoxKey
  readonly #previous: BoxKey | null

  constructor(keys: SecretBoxKeys) {
    this.#master = masterOf(keys.current)
    this.#current = boxKeyOf(this.#master)
    this.#previous = keys.previous ? boxKeyOf(masterOf(keys.previous)) : null
  }

  seal(text: string, context: SealContext): Buffer {
    const nonce = randomBytes(nonceBytes)
    const head = Buffer.concat([Buffer.of(format), this.#current.id])
    const cipher = createCipheriv('aes-256-gcm', this.#current.cipherKey, nonce)
    cipher.setAAD(associatedData(head, context))
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return Buffer.concat([head, nonce, ciphertext, cipher.getAuthTag()])
  }

  /** Throws SecretBoxError when the key is another one, the place is another one, or a bit has changed. */
  open(box: Uint8Array, context: SealContext): Secret<string> {
    const sealed = Buffer.from(box.buffer, box.byteOffset, box.byteLength)
    if (sealed.length < ciphertextAt + tagBytes || sealed[0] !== format) {
      throw new SecretBoxError('not a sealed box of this format')
    }
    const key = this.#keyById(sealed.subarray(keyIdAt, nonceAt))
    const tagAt = sealed.length - tagBytes
    const nonce = sealed.subarray(nonceAt, ciphertextAt)
    const decipher = createDecipheriv('aes-256-gcm', key.cipherKey, nonce, {
      authTagLength: tagBytes,
    })
    decipher.setAAD(associatedData(sealed.subarray(0, nonceAt), context))
    decipher.setAuthTag(sealed.subarray(tagAt))
    try {
      const text = Buffer.concat([
        decipher.update(sealed.subarray(ciphertextAt, tagAt)),
        decipher.final(),
      ])
      return new Secret(text.toString('utf8'))
    } catch {
      throw new SecretBoxError(
        `sealed ${context.field} of role "${context.role}" was changed or belongs elsewhere`,
      )
    }
  }

  /** Stands in each box that the key has sealed; tells nothing of the key. */
  get currentKeyId(): Buffer {
    return this.#current.id
  }

  get previousKeyId(): Buffer | null {
    return this.#previous?.id ?? null
  }

  /** Which of ours has this id. */
  keyOf(keyId: Buffer): 'current' | 'previous' | 'other' {
    if (keyId.equals(this.#current.id)) return 'current'
    return this.#previous?.id.equals(keyId) === true ? 'previous' : 'other'
  }

  /** A key for another purpose, the same in every process that has this current key. */
  deriveKey(label: string): Secret<Buffer> {
    return new Secret(derive(this.#master, `latchkey derived ${label}`, 32))
  }

  #keyById(id: Buffer): BoxKey {
    if (id.equals(this.#current.id)) return this.#current
    if (this.#previous !== null && id.equals(this.#previous.id)) return this.#previous
    throw new SecretBoxError('sealed under a key that is neither the current nor the previous one')
  }
}

function masterOf(text: Secret<string>): Buffer {
  const revealed = text.reveal()
  if (/^[0-9a-fA-F]{64}$/.test(revealed)) return Buffer.from(revealed, 'hex')
  if (/^[\x20-\x7e]{32}$/.test(revealed)) return Buffer.from(revealed, 'latin1')
  throw new SecretBoxError('an encryption key is 32 printable ASCII characters or 64 hex digits')
}

// Cipher key and id come from the master by separate labels: the id, which is stored in clear,
// tells nothing of the key, and the master itself is never a cipher's key (RFC 5869 section 3.2).
function boxKeyOf(master: Buffer): BoxKey {
  return {
    id: derive(master, 'latchkey box key id', 4),
    cipherKey: derive(master, 'latchkey box cipher', 32),
  }
}

const derive = (master: Buffer, label: string, bytes: number): Buffer =>
  Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), label, bytes))

/** Lengths in front keep ("ab", "c") and ("a", "bc") apart. */
function associatedData(head: Buffer, context: SealContext): Buffer {
  const parts = [head]
  for (const text of [context.tenant, context.role, context.field]) {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    parts.push(length, bytes)
  }
  return Buffer.concat(parts)
}
