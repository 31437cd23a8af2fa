// The metadata of the demo, for a process that has none open: the one in front of several workers.
import { SecretBox } from '../../shared/crypto/secret-box.ts'
import type { Log } from '../../shared/log.ts'
import type { Config } from '../config/settings.ts'
import { openDatabase } from '../store/database.ts'
import { MemberStore } from '../store/members.ts'
import { RuleStore } from '../store/rules.ts'
import { TenantStore } from '../store/tenants.ts'
import { TokenStore } from '../store/tokens.ts'
import type { DemoStores } from './demo-project.ts'

/** Only for as long as `use` takes. */
export async function withDemoStores<Result>(
  { databaseUrl, vaultEncKey, vaultEncKeyPrevious }: Config,
  log: Log,
  use: (stores: DemoStores) => Promise<Result>,
): Promise<Result> {
  if (databaseUrl === null || vaultEncKey === null) throw new Error('the demo has no metadata')
  const database = openDatabase(databaseUrl.reveal(), log)
  const box = new SecretBox({ current: vaultEncKey, previous: vaultEncKeyPrevious })
  try {
    return await use({
      tenants: new TenantStore(database, box),
      members: new MemberStore(database),
      rules: new RuleStore(database),
      tokens: new TokenStore(database),
    })
  } finally {
    await database.close()
  }
}
