// Which attack on temporary access is tried by which test. A test that is renamed or goes takes its
// line here along.
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')

const tried: readonly [attack: string, file: string, title: string][] = [
  ['alg none', 'unit/access/identity-provider', 'none, in every spelling'],
  ['alg confusion', 'unit/access/identity-provider', 'HS256 with a public key as its secret'],
  ['kid injection', 'unit/access/identity-provider', 'one that the JWT brings along'],
  ['a second key of one kid', 'unit/access/identity-provider', 'a second key of the same name'],
  ['a foreign issuer', 'integration/sessions-jwt', 'is one member at a time, and of one issuer'],
  ['a foreign key', 'integration/sessions-jwt', 'by a key that the provider does not publish'],
  ['a visitor’s JWT', 'integration/invited-identities', 'is a visitor’s accepts nothing'],
  ['linking by e-mail', 'integration/sessions-jwt', 'an e-mail address links nobody'],
  ['linking by invitation', 'integration/invited-identities', 'makes nobody into a member who is'],
  ['a token in another project', 'integration/tokens-refusals', 'is no token of another project'],
  ['a token beyond its end', 'unit/access/access-ender', 'access ends at its exact end'],
  ['a token just over', 'integration/sessions-jwt', 'is out at the second at which the JWT ends'],
  ['replay after log-out', 'integration/sessions-jwt', 'is refused after a log-out'],
  ['session JWT to more rights', 'integration/sessions-jwt', 'and can get no further rights'],
  ['scoped token to session', 'integration/sessions-jwt', 'of a scoped token has its scope'],
  ['a token as a password', 'integration/tokens-refusals', 'is no password: not for SCRAM'],
  ['IPv4-mapped addresses', 'unit/access/decide-access-table', 'v4 for a mapped client'],
  ['edges of CIDRs', 'unit/accept/address-filter', 'a list of networks'],
  ['host bits, wrong family', 'unit/access/rule-networks', 'bits behind the prefix'],
  ['a forged PROXY header', 'integration/proxy-protocol', 'from anybody else'],
  ['brute force', 'integration/logins-refusals', 'wrong tokens count like wrong passwords'],
  ['lock-out of the innocent', 'integration/logins-refusals', 'a valid token gets in'],
  ['brute force by HTTP', 'integration/api-authorize', 'with 20 bad bearers a minute'],
  ['SSRF by an upstream', 'unit/pool/upstream-guard', 'is judged for each address of a name'],
  ['SSRF by jit_api_url', 'integration/outside-authoriser', 'the machine’s own metadata'],
  ['smuggling by HTTP', 'integration/attacks', 'is refused, and the hidden one is not read'],
  ['bytes behind SSLRequest', 'integration/logins-first-bytes', 'plain bytes behind SSLRequest'],
  ['a rule for oneself', 'integration/api-rules', 'for oneself is allowed to an owner'],
  ['raising oneself', 'integration/store-members', 'nobody raises their own membership'],
  ['lost update', 'integration/store-rules', 'of two changes made from the same set'],
  ['lost update by HTTP', 'integration/api-rules', 'with a stale If-Match is 412'],
  ['ids of another project', 'integration/api-sessions-events', 'within the project that the path'],
  ['an id of an invitation', 'integration/api-invitations', 'withdrawn by its id, in its own'],
  ['guessing who is there', 'integration/tokens-refusals', 'in the words of a wrong password'],
  ['guessing invitations', 'integration/api-invitations', 'is answered alike, whatever is wrong'],
  ['guessing projects', 'integration/api-authorize', 'a stranger sees the same at every path'],
  ['telling roles apart', 'unit/auth/mock-verifier', 'is another for each tenant and role'],
  ['revocation during login', 'integration/endings-others', 'in the very moment of a revocation'],
  [
    'a cancel that is caught',
    'integration/endings-states',
    'in a function that catches the cancel',
  ],
  ['statements behind it', 'integration/endings-states', 'in several statements sent at once'],
  ['left by a DO', 'integration/attacks', 'what a DO leaves behind is nobody else’s'],
  ['a name of ours in SQL', 'integration/statement-names', 'whose name could not be read'],
  ['a name put on and off', 'integration/attacks', 'put on and taken off in one Query'],
  ['a name of somebody else', 'integration/attribution', 'no application wears the words'],
  ['SET ROLE to a superuser', 'integration/assignable-roles', 'which roles may be given away'],
  ['a role that became one', 'integration/tokens-refusals', 'a role that may be given to nobody'],
  ['a role made anew', 'integration/role-identity', 'dropped and made anew is opened by no old'],
  ['a role renamed', 'integration/role-identity', 'renamed hands its rules to nobody'],
  ['access made permanent', 'integration/record', 'what a person does to roles is recorded'],
  ['a deaf change feed', 'fault/change-feed', 'a feed that hangs makes the process blind'],
  [
    'a deaf feed, in the end',
    'unit/access/access-ender',
    'when changes are not heard for too long',
  ],
  ['a flood of refusals', 'unit/access/audit-trail', 'a flood of refusals neither stops'],
  ['an unrecorded login', 'unit/access/audit-trail', 'logins are stopped while there is still'],
  ['more than 90 days', 'integration/api-rules', 'caps the end at 90 days, in both units'],
  ['a timer of 25 days', 'unit/access/access-ender', 'an end of more than 25 days ahead'],
  ['ends in one second', 'unit/access/access-ender', 'ten thousand rules that end in the same'],
  ['another’s cancel key', 'integration/isolation', 'a cancel key of one project stops nothing'],
  ['another’s decision', 'integration/isolation', 'opens no other with a role of the same'],
  ['replication with a token', 'integration/logins-startup', 'a person with a token is refused'],
  ['secrets elsewhere', 'integration/tokens-refusals', 'nowhere but in the hands of its owner'],
]

test.each(tried)('%s', async (_attack, file, title) => {
  expect(await readFile(resolve(root, `${file}.test.ts`), 'utf8')).toContain(title)
})
