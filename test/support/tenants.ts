import type { Tenant, TenantRole } from '../../pooler/tenant/tenant.ts'
import type { Secret } from '../../shared/secret.ts'

/** A project with nothing special about it; `changes` says what a test is about. */
export function makeTenant(changes: Partial<Tenant> = {}): Tenant {
  return {
    id: '4f1c2f5e-0000-4000-8000-000000000001',
    ref: 'abcdefghijklmnopqrst',
    name: 'test project',
    parentRef: null,
    dbHost: '127.0.0.1',
    dbPort: 5432,
    dbDatabase: 'postgres',
    ipVersion: 'auto',
    upstreamTls: 'disable',
    upstreamCa: null,
    sniHostname: null,
    enforceSsl: false,
    requireUser: true,
    authQuery: null,
    defaultPoolSize: 10,
    defaultMinPoolSize: 0,
    maxServerConnections: null,
    defaultMaxClients: 100,
    clientIdleTimeoutMs: 0,
    allowList: ['0.0.0.0/0', '::/0'],
    useJit: false,
    jitApiUrl: null,
    jitUpstream: 'stored',
    ban: null,
    roles: new Map(),
    version: 1,
    ...changes,
  }
}

export function makeRole(
  role: string,
  password: Secret<string> | null,
  changes: Partial<TenantRole> = {},
): TenantRole {
  return {
    role,
    isManager: false,
    poolSize: 10,
    minPoolSize: 0,
    checkoutTimeoutMs: 60_000,
    maxClients: null,
    password,
    isPasswordUnopened: false,
    ...changes,
  }
}
