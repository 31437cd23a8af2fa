// Finds the person somebody means: by user_id, by e-mail, or `me`.
import { type ApiClient, segment } from './api-client.ts'
import { CliError } from './cli-error.ts'

interface Member {
  readonly user_id: string
  readonly primary_email: string | null
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The user_id. */
export async function findPerson(api: ApiClient, ref: string, who: string): Promise<string> {
  if (uuid.test(who)) return who.toLowerCase()
  if (who === 'me') {
    const { body } = await api.get('/v1/profile')
    return (body as { gotrue_id: string }).gotrue_id
  }
  const { body } = await api.get(`/v1/projects/${segment(ref)}/members`)
  const members = body as readonly Member[]
  const found = members.filter((one) => one.primary_email?.toLowerCase() === who.toLowerCase())
  if (found.length === 1) return found[0]!.user_id
  throw new CliError(
    'notFound',
    `nobody in project ${ref} has the e-mail ${who}`,
    'name a user_id, an e-mail of a member, or me',
  )
}
