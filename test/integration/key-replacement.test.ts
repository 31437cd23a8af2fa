// VAULT_ENC_KEY is replaced: what the key before has sealed is sealed anew while the pooler serves, through
// kills and beside other processes, until the old key can be thrown away.
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase } from '../../pooler/store/database.ts'
import { SealedSecrets } from '../../pooler/store/sealed-secrets.ts'
import { TenantStore } from '../../pooler/store/tenants.ts'
import { KeyReplacement } from '../../pooler/tenant/key-replacement.ts'
import { SecretBox } from '../../shared/crypto/secret-box.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { CapturedLog } from '../support/captured-log.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts, MainProcess, portSettings } from '../support/main-process.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { openTestMetadata, someTenant, type TestMetadata } from '../support/metadata.ts'
import { OwnMetadata } from '../support/own-metadata.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'

const newKey = () => new Secret(randomBytes(32).toString('hex'))
const firstId = '00000000-0000-0000-0000-000000000000'

describe('in the metadata', () => {
  const [before, after] = [newKey(), newKey()]
  const oldBox = new SecretBox({ current: before })
  const bothBox = new SecretBox({ current: after, previous: before })
  const newBox = new SecretBox({ current: after })
  let metadata: TestMetadata
  let secrets: SealedSecrets

  beforeEach(async () => {
    metadata = await openTestMetadata()
    secrets = new SealedSecrets(metadata.database, bothBox)
  })
  afterEach(() => metadata.close())

  const storeWith = (box: SecretBox) => new TenantStore(metadata.database, box)
  const withPassword = (text: string) =>
    someTenant({ users: [{ dbUser: 'app', dbPassword: new Secret(text) }] })

  /** Projects whose password tells whose it is. */
  async function projects(count: number): Promise<string[]> {
    const refs = Array.from({ length: count }, (_ref, at) => `project${at}`)
    for (const ref of refs) await storeWith(oldBox).put(ref, withPassword(`of ${ref}`))
    return refs
  }

  const roleOf = async (ref: string, box: SecretBox) =>
    (await storeWith(box).findByRef(ref))?.roles.get('app')

  const countOf = async () => (await secrets.count()).password

  /** How many each batch has sealed. */
  async function sealAll(one = secrets): Promise<number[]> {
    const batches: number[] = []
    for (let next: string | null = firstId; next !== null; ) {
      const batch = await one.sealPasswords(next)
      batches.push(batch.sealed)
      next = batch.next
    }
    return batches
  }

  test('all of it comes under the new key, in batches, and no project has changed by that', async () => {
    const refs = await projects(230)
    const versions = async () =>
      (await storeWith(newBox).findByRefs(refs)).map((one) => one.version)
    const versionsBefore = await versions()
    expect(await countOf()).toEqual({ current: 0, previous: 230, other: 0 })
    expect(await sealAll()).toEqual([100, 100, 30])
    expect(await countOf()).toEqual({ current: 230, previous: 0, other: 0 })
    expect(await versions()).toEqual(versionsBefore)
    for (const ref of refs) {
      expect((await roleOf(ref, newBox))?.password?.reveal()).toBe(`of ${ref}`)
    }
    expect(await roleOf('project1', oldBox)).toMatchObject({
      password: null,
      isPasswordUnopened: true,
    })
    // A change is one again.
    await storeWith(bothBox).put('project1', withPassword('another'))
    expect((await storeWith(newBox).findByRef('project1'))?.version).toBeGreaterThan(
      versionsBefore[1] as number,
    )
  })

  test('a password that is being changed meanwhile stays what it is changed to', async () => {
    await projects(3)
    const change = metadata.database.db.transaction().execute(async (transaction) => {
      const sealed = bothBox.seal('changed', {
        tenant: 'project1',
        role: 'app',
        field: 'db_password',
      })
      await transaction
        .updateTable('tenant_roles')
        .set({ db_password: sealed })
        .where('project_ref', '=', 'project1')
        .execute()
      // While nobody has seen that yet: neither waits for the other.
      expect(await sealAll()).toEqual([2])
    })
    await change
    expect(await sealAll()).toEqual([0])
    expect((await roleOf('project1', newBox))?.password?.reveal()).toBe('changed')
    expect((await roleOf('project2', newBox))?.password?.reveal()).toBe('of project2')
  })

  test('processes that do it at once share the work', async () => {
    const refs = await projects(230)
    const others = [1, 2].map(() => openDatabase(metadata.url, nullLog))
    const all = [metadata.database, ...others].map((one) => new SealedSecrets(one, bothBox))
    const sealed = (await Promise.all(all.map((one) => sealAll(one)))).flat()
    expect(sealed.reduce((sum, one) => sum + one, 0)).toBe(230)
    for (const ref of refs) {
      expect((await roleOf(ref, newBox))?.password?.reveal()).toBe(`of ${ref}`)
    }
    await Promise.all(others.map((one) => one.close()))
  })

  test('what is damaged is named, keeps nobody, and its project can be read and mended', async () => {
    await projects(3)
    await metadata.database.db
      .updateTable('tenant_roles')
      .set((eb) => ({
        db_password: eb
          .selectFrom('tenant_roles as other')
          .select('other.db_password')
          .where('other.project_ref', '=', 'project0'),
      }))
      .where('project_ref', '=', 'project1')
      .execute()
    const captured = new CapturedLog()
    const clock = new ManualClock()
    const options = { secrets, hasPreviousKey: true, clock, log: captured.log }
    const replacement = new KeyReplacement(options)
    await replacement.check()
    replacement.start()
    await eventually(() => expect(captured.text).toContain('app.project1'))
    await eventually(() =>
      expect(replacement.counts?.password).toEqual({ current: 2, previous: 1, other: 0 }),
    )
    expect(captured.text).not.toContain('no longer needed')
    await storeWith(bothBox).put('project1', withPassword('anew'))
    clock.advance(60_000)
    await eventually(() => expect(captured.text).toContain('no longer needed'))
    await replacement.close()
    expect((await roleOf('project1', newBox))?.password?.reveal()).toBe('anew')
  })

  test('keys that sign session JWTs come along', async () => {
    const signing = { tenant: '', role: '', field: 'signing key k1' }
    await metadata.database.db
      .insertInto('signing_keys')
      .values({ kid: 'k1', public_jwk: '{}', sealed_jwk: oldBox.seal('{"d":1}', signing) })
      .execute()
    expect((await secrets.sealSigningKeys()).sealed).toBe(1)
    const row = await metadata.database.db
      .selectFrom('signing_keys')
      .select('sealed_jwk')
      .executeTakeFirstOrThrow()
    expect(newBox.open(row.sealed_jwk, signing).reveal()).toBe('{"d":1}')
  })
})

describe('of a pooler that runs', () => {
  let own: OwnMetadata
  const processes: MainProcess[] = []

  beforeEach(async () => {
    own = await OwnMetadata.make()
  })
  afterEach(async () => {
    for (const one of processes.splice(0)) await one.end()
    await own.drop()
  })

  async function start(env: Record<string, string>): Promise<{ main: MainProcess; port: number }> {
    const ports = await freePorts()
    const main = new MainProcess({ env: { ...own.env, ...portSettings(ports), ...env } })
    processes.push(main)
    return { main, port: ports.transaction }
  }

  async function command(args: readonly string[], env: Record<string, string>) {
    const main = new MainProcess({ args, env: { ...own.env, ...env } })
    processes.push(main)
    const { code } = await main.exited
    return { code, text: `${main.stdout}${main.stderr}` }
  }

  /** More than it seals at once. */
  async function fill(count: number): Promise<void> {
    const database = openDatabase(sharedPostgres().url(own.name), nullLog)
    const store = new TenantStore(database, new SecretBox({ current: new Secret(own.vaultKey) }))
    const user = (at: number) => ({ dbUser: `role${at}`, dbPassword: new Secret(`password ${at}`) })
    const users = Array.from({ length: count }, (_user, at) => user(at))
    await store.put('large', someTenant({ users }))
    await database.close()
  }

  async function under(key: Secret<string>, previous: Secret<string> | null) {
    const database = openDatabase(sharedPostgres().url(own.name), nullLog)
    const secrets = new SealedSecrets(database, new SecretBox({ current: key, previous }))
    const { password } = await secrets.count()
    await database.close()
    return password
  }

  test('is killed in the middle, goes on, says when it is done, and serves with the new key alone', async () => {
    await fill(1000)
    const next = newKey()
    const old = new Secret(own.vaultKey)
    const both = { VAULT_ENC_KEY: next.reveal(), VAULT_ENC_KEY_PREVIOUS: own.vaultKey }
    const first = await start(both)
    await eventually(async () => expect((await under(next, old)).current).toBeGreaterThan(0))
    first.main.kill('SIGKILL')
    await first.main.exited
    const halfway = await under(next, old)
    expect(halfway).toMatchObject({ other: 0 })
    expect(halfway.current + halfway.previous).toBe(1001)

    const shown = await command(['vault'], both)
    if (halfway.previous > 0) {
      expect(shown.code).toBe(1)
      expect(shown.text).toMatch(/with VAULT_ENC_KEY_PREVIOUS: a running pooler/)
    }
    const second = await start(both)
    await second.main.says('VAULT_ENC_KEY_PREVIOUS is no longer needed')
    expect(await under(next, null)).toEqual({ current: 1001, previous: 0, other: 0 })
    const client = await RawClient.loggedIn({ port: second.port, ...own.login })
    client.close()
    expect(await command(['vault'], both)).toEqual({
      code: 0,
      text: expect.stringMatching(/0 with VAULT_ENC_KEY_PREVIOUS: it is no longer needed/),
    })
    second.main.kill()
    await second.main.exited

    const third = await start({ VAULT_ENC_KEY: next.reveal() })
    await third.main.ready()
    const again = await RawClient.loggedIn({ port: third.port, ...own.login })
    again.close()
    // The old one is worth nothing any more, and says so instead of serving nobody.
    const { main } = await start({})
    expect((await main.exited).code).toBe(1)
    expect(main.stderr).toMatch(/^VAULT_ENC_KEY: opens none of the 1001 stored passwords/)
  })

  test('with a wrong key does not start, an import neither; what is lost can be forgotten', async () => {
    const wrong = { VAULT_ENC_KEY: newKey().reveal() }
    const { main } = await start(wrong)
    expect((await main.exited).code).toBe(1)
    expect(main.stderr).toMatch(/VAULT_ENC_KEY: opens none of the 1 stored passwords/)
    expect(main.stderr).not.toContain(wrong.VAULT_ENC_KEY)
    const imported = await command(['import', 'supavisor', '/dev/null'], wrong)
    expect(imported).toMatchObject({ code: 1, text: expect.stringContaining('opens none') })
    expect(await command(['vault'], wrong)).toMatchObject({
      code: 1,
      text: expect.stringContaining('1 with a key that is not set here'),
    })
    expect((await command(['vault', 'everything'], wrong)).code).toBe(2)
    expect(await command(['vault', 'forget'], wrong)).toEqual({
      code: 0,
      text: '1 removed\n0 sealed with VAULT_ENC_KEY\n',
    })
    const after = await start(wrong)
    await after.main.ready()
  })

  test('without the key of one project serves the others, and tells that project it is not its fault', async () => {
    const other = openDatabase(sharedPostgres().url(own.name), nullLog)
    const stranger = new TenantStore(other, new SecretBox({ current: newKey() }))
    await stranger.put('elsewhere', someTenant())
    await other.close()
    const { main, port } = await start({})
    await main.says('stored passwords that no key here opens')
    await main.ready()
    const client = await RawClient.loggedIn({ port, ...own.login })
    client.close()
    const refused = RawClient.loggedIn({
      port,
      user: 'postgres.elsewhere',
      password: 'pa55',
      database: 'postgres',
    })
    await expect(refused).rejects.toThrow(/EAUTHPROVIDER/)
  })
})
