// What one installation of `npm start` made up for itself on its first start and keeps: secrets, the
// demo project's ref and the passwords of its roles. Random, so that no two installations share any.
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { newProjectRef } from '../../shared/ids.ts'
import { Secret } from '../../shared/secret.ts'
import {
  openPrivateFolder,
  readPrivateFile,
  readPrivateJson,
  writeFirstPrivateFile,
} from './private-folder.ts'
import { StartError } from './start-error.ts'

export interface Installation {
  readonly home: string
  /** VAULT_ENC_KEY, 64 hex digits. */
  readonly vaultEncKey: Secret<string>
  /** API_JWT_SECRET. */
  readonly apiJwtSecret: Secret<string>
  /** METRICS_JWT_SECRET. */
  readonly metricsJwtSecret: Secret<string>
  /** Of the demo project: 20 letters. */
  readonly ref: string
  /** The `user_id` of its owner. */
  readonly ownerId: string
  /** By role. */
  readonly passwords: Readonly<Record<InstallationRole, Secret<string>>>
}

/** `latchkey` owns the metadata, `latchkey_manager` runs auth_query, the others are the project's. */
export type InstallationRole = 'latchkey' | 'latchkey_manager' | 'postgres' | 'app'

const secretText = z.string().min(32)
const shape = z.object({
  VAULT_ENC_KEY: z.string().regex(/^[0-9a-f]{64}$/),
  API_JWT_SECRET: secretText,
  METRICS_JWT_SECRET: secretText,
  demoRef: z.string().regex(/^[a-z]{20}$/),
  demoOwnerId: z.uuid(),
  passwords: z.object({
    latchkey: secretText,
    latchkey_manager: secretText,
    postgres: secretText,
    app: secretText,
  }),
})

type Kept = z.infer<typeof shape>

/**
 * Reads `secrets.json` in the folder (LATCHKEY_HOME), or makes both. Comes before the embedded server:
 * data without the secrets that they were made with are of no use, and are not silently replaced.
 */
export async function findInstallation(home: string): Promise<Installation> {
  await openPrivateFolder(home)
  const path = join(home, 'secrets.json')
  let found = await readPrivateJson(path)
  if (found === null) {
    await refuseOrphanedData(home, path)
    await writeFirstPrivateFile(path, `${JSON.stringify(makeSecrets(), null, 2)}\n`)
    found = await readPrivateJson(path)
  }
  const { data, error } = shape.safeParse(found)
  if (data !== undefined) return installationOf(home, data)
  // Never the issue's text: it may quote a secret.
  const field = error.issues[0]?.path.join('.') ?? ''
  throw new StartError(`${path} has no usable ${field}: restore it, or move ${home} away`)
}

async function refuseOrphanedData(home: string, path: string): Promise<void> {
  if ((await readPrivateFile(join(home, 'postgres/data/PG_VERSION'))) === null) return
  throw new StartError(
    `${path} is missing, but the data made with it are there: restore it, or move ${home} away`,
  )
}

function makeSecrets(): Kept {
  const password = (): string => randomBytes(24).toString('hex')
  return {
    VAULT_ENC_KEY: randomBytes(32).toString('hex'),
    API_JWT_SECRET: randomBytes(48).toString('base64url'),
    METRICS_JWT_SECRET: randomBytes(48).toString('base64url'),
    demoRef: newProjectRef(),
    demoOwnerId: randomUUID(),
    passwords: {
      latchkey: password(),
      latchkey_manager: password(),
      postgres: password(),
      app: password(),
    },
  }
}

function installationOf(home: string, kept: Kept): Installation {
  return {
    home,
    vaultEncKey: new Secret(kept.VAULT_ENC_KEY),
    apiJwtSecret: new Secret(kept.API_JWT_SECRET),
    metricsJwtSecret: new Secret(kept.METRICS_JWT_SECRET),
    ref: kept.demoRef,
    ownerId: kept.demoOwnerId,
    passwords: {
      latchkey: new Secret(kept.passwords.latchkey),
      latchkey_manager: new Secret(kept.passwords.latchkey_manager),
      postgres: new Secret(kept.passwords.postgres),
      app: new Secret(kept.passwords.app),
    },
  }
}
