// All that has to do with an identity provider, from the settings that name one.
import type { Clock } from '../shared/clock.ts'
import type { SecretBox } from '../shared/crypto/secret-box.ts'
import type { Log } from '../shared/log.ts'
import type { GuardedClient } from './access/guarded-client.ts'
import { IdentityProvider } from './access/identity-provider.ts'
import { ProviderDocument } from './access/provider-document.ts'
import { ProviderKeys } from './access/provider-keys.ts'
import { ProviderSignIn } from './access/provider-sign-in.ts'
import type { Config } from './config/settings.ts'

export interface ProviderParts {
  /** Whose JWTs are taken as tokens; null: nobody's. */
  readonly bearers: IdentityProvider | null
  /** null: people sign in to the dashboard with tokens only. */
  readonly signIn: ProviderSignIn | null
}

interface ProviderNeeds {
  readonly config: Config
  readonly client: GuardedClient
  readonly box: SecretBox
  readonly clock: Clock
  readonly log: Log
}

export function newProviderParts({
  config,
  client,
  box,
  clock,
  log,
}: ProviderNeeds): ProviderParts {
  const { authIssuer: issuer, authAudience: audience, authJwksUrl: url } = config
  if (issuer === null || audience === null || url === null) return { bearers: null, signIn: null }
  const keys = new ProviderKeys({ url, client, clock, log })
  const providerFor = (whom: string) =>
    new IdentityProvider({ issuer, audience: whom, keys, clock })
  const { authClientId: clientId, authClientSecret: clientSecret } = config
  const bearers = providerFor(audience)
  if (clientId === null) return { bearers, signIn: null }
  const document = new ProviderDocument({ issuer, client, clock, log })
  const forClient = { document, client, provider: providerFor(clientId), clientId, clientSecret }
  return { bearers, signIn: new ProviderSignIn({ ...forClient, box, clock }) }
}
