// At most one process uses an installation's folder. A lock whose process is gone holds nobody up.
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, readPrivateFile } from './private-folder.ts'
import { isAlive, startMarkOf } from './running-process.ts'
import { StartError } from './start-error.ts'

const attempts = 5

export class FolderLock {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  /** Throws StartError with the number of the process that has it. */
  static async take(folder: string): Promise<FolderLock> {
    const path = join(folder, 'lock')
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (await writeNew(path, `${process.pid} ${await startMarkOf(process.pid)}\n`)) {
        return new FolderLock(path)
      }
      const [processId, startMark] = ((await readPrivateFile(path)) ?? '').trim().split(' ')
      const holder = Number(processId)
      if (holder > 0 && isAlive(holder) && (await startMarkOf(holder)) === (startMark ?? '')) {
        throw new StartError(
          `process ${holder} already runs with the folder ${folder}: stop it, or set LATCHKEY_HOME`,
        )
      }
      await rm(path, { force: true })
    }
    throw new StartError(`the lock ${path} changes all the time: set LATCHKEY_HOME`)
  }

  async release(): Promise<void> {
    await rm(this.#path, { force: true })
  }
}

async function writeNew(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(text)
    await file.close()
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}
