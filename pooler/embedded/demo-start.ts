// `npm start` without DATABASE_URL: brings up the embedded Postgres and tells the settings that the
// rest of the process then runs with; afterwards enters the demo project.
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { Environment } from '../config/load-config.ts'
import type { Config } from '../config/settings.ts'
import { prepareMetadata } from './demo-project.ts'
import { EmbeddedPostgres } from './embedded-postgres.ts'
import { findInstallation, type Installation } from './installation.ts'
import { findSelfSigned } from './self-signed.ts'

export interface DemoStart {
  readonly postgres: EmbeddedPostgres
  readonly installation: Installation
  /** The environment, with what the operator left out filled in. */
  readonly env: Environment
  /** PEM file that clients may name as their root certificate. */
  readonly certificatePath: string
}

/** The domain under which the demo's direct name stands; `.localhost` never leaves the machine. */
const demoDomain = 'latchkey.localhost'

/** Throws StartError, one line. Nothing is left running then. */
export async function startDemo(
  config: Config,
  env: Environment,
  clock: Clock,
  log: Log,
): Promise<DemoStart> {
  const home = config.latchkeyHome
  // First, so that a first start that is cut off here leaves secrets without data, not the reverse.
  const installation = await findInstallation(home)
  const postgres = await EmbeddedPostgres.start({ home, log })
  try {
    const domain = config.poolerDomain ?? demoDomain
    const names = [`db.${installation.ref}.${domain}`]
    const certificate = await findSelfSigned({ home, names, clock })
    const databaseUrl = await prepareMetadata(installation, postgres)
    return {
      postgres,
      installation,
      certificatePath: certificate.certificatePath,
      env: {
        PROXY_HOST: '127.0.0.1',
        POOLER_DOMAIN: demoDomain,
        GLOBAL_DOWNSTREAM_CERT_PATH: certificate.certificatePath,
        GLOBAL_DOWNSTREAM_KEY_PATH: certificate.keyPath,
        API_JWT_SECRET: installation.apiJwtSecret.reveal(),
        VAULT_ENC_KEY: installation.vaultEncKey.reveal(),
        ...withoutEmpty(env),
        DATABASE_URL: databaseUrl,
      },
    }
  } catch (error) {
    await postgres.stop()
    throw error
  }
}

function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
}
