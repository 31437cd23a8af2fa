// Stores on a metadata database of the test file's own, and short ways to put something in them.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect } from 'vitest'
import type { Member } from '../../pooler/store/members.ts'
import type { RuleInput } from '../../pooler/store/rules.ts'
import type { MembershipRole } from '../../pooler/store/schema.ts'
import type { RefusalKind } from '../../pooler/store/store-refusal.ts'
import type { TenantInput } from '../../pooler/store/tenant-input.ts'
import type { Tenant } from '../../pooler/tenant/tenant.ts'
import { openTestMetadata, someTenant, type TestMetadata } from './metadata.ts'

export class StoreSetup {
  #metadata: TestMetadata | null = null
  #lastProject = 0

  constructor() {
    beforeAll(async () => {
      this.#metadata = await openTestMetadata()
    })
    afterAll(() => this.#metadata?.close())
  }

  get metadata(): TestMetadata {
    if (this.#metadata === null) throw new Error('no metadata before the first test')
    return this.#metadata
  }

  newRef(): string {
    this.#lastProject += 1
    return `project${this.#lastProject}`
  }

  async newProject(changes: Partial<TenantInput> = {}): Promise<Tenant> {
    const { tenant } = await this.metadata.tenants.put(this.newRef(), someTenant(changes))
    return tenant
  }

  async newMember(email: string | null = null): Promise<Member> {
    const { member } = await this.metadata.members.put(randomUUID(), { email, name: 'Somebody' })
    return member
  }

  async newMembership(ref: string, role: MembershipRole): Promise<Member> {
    const member = await this.newMember()
    await this.metadata.members.putMembership(ref, member.userId, role, 'operator')
    return member
  }
}

export const someRule = (role: string, changes: Partial<RuleInput> = {}): RuleInput => ({
  role,
  expiresAtMs: null,
  networksV4: [],
  networksV6: [],
  branchesOnly: false,
  ...changes,
})

/** What a rejected store call rejects with. */
export const refusal = (kind: RefusalKind): unknown =>
  expect.objectContaining({ name: 'StoreRefusal', kind })
