// Lines to paste, for the role, the port, the program and the secret that somebody has.
import { useContext, useState } from 'preact/hooks'
import { projectApi } from '../ask.ts'
import { connectionLine, type Driver, driverNames, drivers } from '../connection-lines.ts'
import { html } from '../html.ts'
import { Field } from '../parts/fields.ts'
import { Card, Copy } from '../parts/small.ts'
import { Settled } from '../parts/states.ts'
import { ProjectContext } from '../project-context.ts'
import type { OwnAccess, PoolerConfig } from '../shapes.ts'
import { useResource } from '../use-resource.ts'

export function ConnectCard() {
  const ref = useContext(ProjectContext)?.ref ?? ''
  const configs = useResource<readonly PoolerConfig[]>(projectApi(ref, '/config/database/pooler'))
  const access = useResource<{ items: readonly OwnAccess[] }>('/v1/profile/access', ['rules'])
  const roles = (access.body?.items ?? [])
    .filter((one) => one.project.ref === ref && one.is_active)
    .map((one) => one.role)
  return html`<${Card} title="Connect" hint="The same drivers as ever; host, port and user name are Latchkey’s.">
    <${Settled} resource=${configs} show=${(list: readonly PoolerConfig[]) =>
      html`<${Lines} configs=${list} ownRoles=${roles} />`} />
  <//>`
}

const modeNames = {
  transaction: 'Transaction port: many short queries',
  session: 'Session port: LISTEN, migrations, a shell',
} as const

function Lines({ configs, ownRoles }: { configs: readonly PoolerConfig[]; ownRoles: string[] }) {
  const view = useContext(ProjectContext)
  const usual = configs[0]?.db_user.replace(/\.[^.]*$/, '') ?? 'postgres'
  const [secret, setSecret] = useState<'password' | 'token'>('token')
  const [role, setRole] = useState<string | null>(null)
  const [mode, setMode] = useState<PoolerConfig['pool_mode']>('transaction')
  const [driver, setDriver] = useState<Driver>('psql')
  const config = configs.find((one) => one.pool_mode === mode)
  if (config === undefined || view === null) return null
  const shownRole = role ?? (secret === 'token' ? (ownRoles[0] ?? usual) : usual)
  const text = connectionLine(driver, {
    role: shownRole,
    ref: view.ref,
    host: config.db_host,
    port: config.db_port,
    database: config.db_name,
    with: secret,
  })
  return html`<div class="grid">
      <${Field} label="With" value=${secret} onValue=${setSecret}
        options=${[['token', 'A token of mine'], ['password', 'The role’s password']]} />
      <${Field} label="As role" value=${shownRole} onValue=${setRole} more=${{ list: 'own-roles', autocomplete: 'off' }} />
      <datalist id="own-roles">${ownRoles.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
      <${Field} label="Port" value=${mode} onValue=${setMode} options=${Object.entries(modeNames)} />
    </div>
    <div class="pills" role="group" aria-label="Program">
      ${drivers.map(
        (one) =>
          html`<button key=${one} aria-pressed=${String(one === driver)} onClick=${() => setDriver(one)}>${driverNames[one]}</button>`,
      )}
    </div>
    <div class="snippet"><pre tabindex="0" aria-label="Connection line">${text}</pre><${Copy} text=${text} label="connection line" /></div>
    <p class="hint">${
      secret === 'token'
        ? ownRoles.includes(shownRole)
          ? 'psql asks for the password: paste a token. Programs take it from PGPASSWORD.'
          : html`You have no rule for <code>${shownRole}</code> here, so a token will not be let in as it.`
        : 'The password is the one that the role has in the database.'
    }</p>`
}
