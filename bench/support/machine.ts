// What a figure depends on and a reader elsewhere cannot know: machine, versions, state of the code.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import { promisify } from 'node:util'
import type { ProcessorShares } from './processor-shares.ts'

export interface MachineFacts {
  readonly cores: number
  readonly model: string
  readonly memoryGb: number
  readonly kernel: string
  readonly node: string
  readonly pgbench: string
  readonly system: string
  readonly processorShares: ProcessorShares
  /** Commit of the checkout, with a plus when files of pooler or shared differ from it. */
  readonly commit: string
}

export async function machineFacts(
  folder: string,
  processorShares: ProcessorShares,
): Promise<MachineFacts> {
  return {
    cores: cpus().length,
    model: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
    pgbench: /\(PostgreSQL\) (\S+)/.exec(await output('pgbench', ['--version']))?.[1] ?? 'unknown',
    system:
      /^PRETTY_NAME="(.*)"/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    processorShares,
    commit: await commitOf(folder),
  }
}

/** Short hash of a checkout's state. */
export async function commitOf(folder: string): Promise<string> {
  const git = (...args: string[]): Promise<string> => output('git', ['-C', folder, ...args])
  const hash = (await git('rev-parse', '--short', 'HEAD')).trim()
  const changes = await git('status', '--porcelain', '--', 'pooler', 'shared')
  return changes.trim() === '' ? hash : `${hash}+`
}

async function output(file: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args).catch(() => ({ stdout: '' }))
  return stdout
}
