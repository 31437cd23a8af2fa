// Where secrets come from: the environment, or a file that nobody else may read. Never an argument:
// arguments stand in the list of processes and in the history of the shell.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { Secret } from '../../shared/secret.ts'
import { CliError } from './cli-error.ts'

type Environment = Readonly<Record<string, string | undefined>>

const ownersOnly = 0o077
const fileBytesMax = 16 * 1024
const jwtLifetime = '5m'

export class Credentials {
  readonly #env: Environment
  readonly #file: string | undefined

  /** `file` as the user named it. */
  constructor(env: Environment, file: string | undefined) {
    this.#env = env
    this.#file = file
  }

  /** A person's token. */
  async token(): Promise<Secret<string>> {
    if (this.#file !== undefined) return await readSecret(this.#file)
    const given = this.#env.LATCHKEY_TOKEN?.trim()
    if (given) return new Secret(given)
    const usual = this.#env.LATCHKEY_TOKEN_FILE ?? usualFile(this.#env)
    const isNamed = this.#env.LATCHKEY_TOKEN_FILE !== undefined
    if (usual !== null && (isNamed || (await exists(usual)))) return await readSecret(usual)
    throw new CliError(
      'unauthorized',
      'there is no token',
      `set LATCHKEY_TOKEN, or put it into ${usual ?? 'a file named by LATCHKEY_TOKEN_FILE'} (chmod 600)`,
    )
  }

  /** The operator's key to /api: a JWT, or one made with the secret that the pooler has too. */
  async operatorJwt(): Promise<Secret<string>> {
    const given = this.#env.LATCHKEY_API_JWT?.trim()
    if (given) return new Secret(given)
    const secret = this.#env.API_JWT_SECRET
    if (!secret) {
      throw new CliError(
        'unauthorized',
        'there is no key to the operator’s API',
        'set LATCHKEY_API_JWT, or API_JWT_SECRET to what the pooler was started with',
      )
    }
    const jwt = await new SignJWT({ role: 'operator' })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuedAt()
      .setExpirationTime(jwtLifetime)
      .sign(new TextEncoder().encode(secret))
    return new Secret(jwt)
  }
}

function usualFile({ XDG_CONFIG_HOME, HOME }: Environment): string | null {
  const folder = XDG_CONFIG_HOME || (HOME ? join(HOME, '.config') : null)
  return folder === null ? null : join(folder, 'latchkey', 'token')
}

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

async function readSecret(path: string): Promise<Secret<string>> {
  const found = await stat(path).catch((cause: Error) => {
    throw new CliError('usage', `the token cannot be read: ${cause.message}`)
  })
  if (!found.isFile() || found.size > fileBytesMax) {
    throw new CliError('usage', `${path} is no file with a token`)
  }
  if ((found.mode & ownersOnly) !== 0) {
    throw new CliError('usage', `others may read ${path}`, `chmod 600 ${path}`)
  }
  const text = (await readFile(path, 'utf8')).trim()
  if (text === '' || /\s/.test(text)) throw new CliError('usage', `${path} has no token in it`)
  return new Secret(text)
}
