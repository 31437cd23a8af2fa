// Builds the operators' console: what it sees and does, in this process or over all workers.
import type { Clock } from '../shared/clock.ts'
import type { Log } from '../shared/log.ts'
import { AdminConsole, type AdminUser } from './admin/admin-console.ts'
import type { AdminControl, SettingRow, ShutdownWay } from './admin/admin-view.ts'
import { FactsHere } from './admin-facts-of.ts'
import { reachHere, reachOverWorkers } from './admin-reach.ts'
import { AdminLogin } from './client/admin-login.ts'
import type { AdminServices } from './client/serve-admin.ts'
import type { Config } from './config/settings.ts'
import { configKeyOf, settingNames, settings } from './config/settings.ts'
import type { ControlPlane } from './control-plane.ts'
import type { DataPlane } from './data-plane.ts'
import { poolActsOf } from './pool-acts-of.ts'
import { version } from './version.ts'
import type { WorkerLink } from './workers/worker-link.ts'

export interface AdminParts {
  readonly config: Config
  readonly control: ControlPlane
  readonly data: DataPlane
  /** null: this process is alone. */
  readonly link: WorkerLink | null
  /** Of all workers. */
  readonly reload: AdminControl['reload']
  readonly shutdown: (how: ShutdownWay) => void
  readonly clock: Clock
  readonly log: Log
}

export interface AdminServicesHere extends AdminServices {
  close(): void
}

export function adminServicesOf(parts: AdminParts): AdminServicesHere {
  const { config, control, data, link, clock } = parts
  const tenants = control.tenantCache
  const facts = new FactsHere({ data, tenants, clock })
  const here = { facts, act: poolActsOf(data, clock), holds: data }
  const reach = link === null ? reachHere(here) : reachOverWorkers(here, link)
  const { reload, shutdown } = parts
  const console = new AdminConsole({
    view: { version, settings: () => settingRowsOf(config), read: reach.read },
    control: {
      isTenant: async (ref) => (await tenants.find({ ref })) !== null,
      hold: reach.hold,
      isPaused: (target) => data.holds.isAllPaused(target),
      everywhere: reach.everywhere,
      reload,
      shutdown,
    },
    clock,
    onCommand: (user, command) => record(user, command, parts),
  })
  const login = new AdminLogin({ config, tenants, clock })
  return { login, console, sessions: new Set(), close: () => facts.close() }
}

function record({ name, address }: AdminUser, command: string, parts: AdminParts): void {
  const { control, clock, log } = parts
  log.info({ operator: name, address, command }, 'command at the console')
  control.auditTrail.record({
    atMs: clock.wallMs(),
    ref: null,
    actor: 'operator',
    action: 'console_command',
    address,
    details: { user: name, command },
  })
}

function settingRowsOf(config: Config): SettingRow[] {
  return settingNames.map((name) => {
    const value = config[configKeyOf(name)]
    const { kind, defaultText } = settings[name]
    const text = value === null ? null : Array.isArray(value) ? value.join(', ') : String(value)
    return { name, value: kind.isSecret && text !== null ? '[set]' : text, fallback: defaultText }
  })
}
