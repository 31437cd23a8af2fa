// The folder of an installation (`.latchkey`): 0700, and every file of ours in it 0600.
import { randomBytes } from 'node:crypto'
import {
  chmod,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { StartError } from './start-error.ts'

/** Says that a folder is ours: we close it to others, which nobody wants done to /tmp or a home. */
const markFile = 'latchkey-folder'

/** Makes it where it is missing and closes it where it is open. */
export async function openPrivateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const names = await readdir(path)
    if (names.length > 0 && !names.includes(markFile)) {
      throw new StartError(
        `folder ${path} has files that are not Latchkey's: set LATCHKEY_HOME to a new or an empty folder`,
      )
    }
    // Going through it is allowed to the group of the embedded server where that is needed.
    if (((await stat(path)).mode & 0o067) !== 0) await chmod(path, 0o700)
    if (names.length === 0) await writeFile(join(path, markFile), '', { mode: 0o600 })
  } catch (error) {
    if (error instanceof StartError) throw error
    throw new StartError(
      `folder ${path} cannot be used (${codeOf(error)}): set LATCHKEY_HOME to a folder of yours`,
      error,
    )
  }
}

/** Whole or not at all, also when the machine stops in between. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const unfinished = unfinishedName(path)
  await writeFile(unfinished, text, { mode: 0o600, flush: true })
  await chmod(unfinished, 0o600)
  await rename(unfinished, path)
}

/** The same where there is none yet; false, and nothing changed, where another process was first. */
export async function writeFirstPrivateFile(path: string, text: string): Promise<boolean> {
  const unfinished = unfinishedName(path)
  await writePrivateFile(unfinished, text)
  try {
    await link(unfinished, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** Two processes may start at once. */
const unfinishedName = (path: string): string => `${path}.${randomBytes(6).toString('hex')}`

/** Null when there is none. */
export async function readPrivateFile(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw new StartError(
      `${path} cannot be read (${codeOf(error)}): set LATCHKEY_HOME to a folder of yours`,
      error,
    )
  }
}

/** Null when there is none; a file that was cut or edited badly is named. */
export async function readPrivateJson(path: string): Promise<unknown> {
  const text = await readPrivateFile(path)
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new StartError(`${path} is not JSON: restore it, or move the folder away`, error)
  }
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}
