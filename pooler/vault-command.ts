// `vault`: under which key the stored secrets lie, for whoever replaces VAULT_ENC_KEY; `vault forget`
// removes those that no key opens any more.
import { SecretBox } from '../shared/crypto/secret-box.ts'
import type { Log } from '../shared/log.ts'
import type { Config } from './config/settings.ts'
import { openDatabase } from './store/database.ts'
import { type SealedCounts, SealedSecrets } from './store/sealed-secrets.ts'
import { VaultKeyError } from './tenant/key-replacement.ts'

export interface VaultReport {
  readonly text: string
  /** Everything lies under VAULT_ENC_KEY. */
  readonly isSettled: boolean
}

export async function runVault(
  action: 'show' | 'forget',
  { databaseUrl, vaultEncKey, vaultEncKeyPrevious }: Config,
  log: Log,
): Promise<VaultReport> {
  if (databaseUrl === null || vaultEncKey === null) {
    throw new VaultKeyError('set DATABASE_URL and VAULT_ENC_KEY, as for the pooler itself')
  }
  const database = openDatabase(databaseUrl.reveal(), log, { connectionsMax: 1 })
  const box = new SecretBox({ current: vaultEncKey, previous: vaultEncKeyPrevious })
  const secrets = new SealedSecrets(database, box)
  try {
    const removed = action === 'forget' ? await secrets.forget() : 0
    const report = reportOf(await secrets.count(), vaultEncKeyPrevious !== null)
    return removed === 0 ? report : { ...report, text: `${removed} removed\n${report.text}` }
  } finally {
    await database.close()
  }
}

function reportOf(counts: SealedCounts, hasPreviousKey: boolean): VaultReport {
  const all = (under: 'current' | 'previous' | 'other') =>
    counts.password[under] + counts['signing key'][under]
  const lines = [`${all('current')} sealed with VAULT_ENC_KEY`]
  if (hasPreviousKey) {
    const left = all('previous')
    const meaning =
      left === 0 ? 'it is no longer needed' : 'a running pooler with both keys seals them anew'
    lines.push(`${left} with VAULT_ENC_KEY_PREVIOUS: ${meaning}`)
  }
  if (all('other') > 0) {
    lines.push(
      `${all('other')} with a key that is not set here: set it as VAULT_ENC_KEY_PREVIOUS, or remove them by "vault forget" and set the passwords again`,
    )
  }
  return { text: `${lines.join('\n')}\n`, isSettled: all('previous') + all('other') === 0 }
}
