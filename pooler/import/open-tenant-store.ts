import { SecretBox } from '../../shared/crypto/secret-box.ts'
import type { Log } from '../../shared/log.ts'
import type { Config } from '../config/settings.ts'
import { openDatabase } from '../store/database.ts'
import { SealedSecrets } from '../store/sealed-secrets.ts'
import { TenantStore } from '../store/tenants.ts'
import { refuseWrongKey } from '../tenant/key-replacement.ts'
import { ImportError } from './imported-tenant.ts'

/** The projects of the metadata, brought up to date. Throws ImportError where the settings name none. */
export async function openTenantStore(
  { databaseUrl, vaultEncKey, vaultEncKeyPrevious }: Config,
  log: Log,
): Promise<{ tenants: TenantStore; close(): Promise<void> }> {
  if (databaseUrl === null || vaultEncKey === null) {
    throw new ImportError('set DATABASE_URL and VAULT_ENC_KEY, as for the pooler itself')
  }
  const database = openDatabase(databaseUrl.reveal(), log)
  const box = new SecretBox({ current: vaultEncKey, previous: vaultEncKeyPrevious })
  try {
    await database.migrate()
    // What is written with a wrong key, the pooler could not read.
    refuseWrongKey(await new SealedSecrets(database, box).count())
  } catch (error) {
    await database.close()
    throw error
  }
  return { tenants: new TenantStore(database, box), close: () => database.close() }
}
