// Runs once before all tests that ask for the shared Postgres: TEST_DATABASE_URL, else a container
// where a Docker engine answers, else the embedded server. Tests get its superuser's URL.
import { existsSync } from 'node:fs'
import type { TestProject } from 'vitest/node'
import { startPostgres } from './postgres.ts'

const image = 'postgres:18'

interface Running {
  readonly url: string
  stop(): Promise<void>
}

let running: Running | null = null

/** Vitest calls it once for each project (kind of test) that it runs. */
export async function setup(project: TestProject): Promise<void> {
  running = await start()
  project.provide('postgresUrl', running.url)
}

export async function teardown(): Promise<void> {
  await running?.stop()
}

async function start(): Promise<Running> {
  const url = process.env.TEST_DATABASE_URL
  if (url !== undefined && url !== '') {
    return { url, stop: async () => {} }
  }
  return (await startContainer()) ?? startEmbedded()
}

async function startContainer(): Promise<Running | null> {
  const hasEngine = process.env.DOCKER_HOST !== undefined || existsSync('/var/run/docker.sock')
  if (!hasEngine) return null
  const { GenericContainer, Wait, getContainerRuntimeClient } = await import('testcontainers')
  try {
    await getContainerRuntimeClient()
  } catch {
    return null
  }
  const container = await new GenericContainer(image)
    .withEnvironment({ POSTGRES_USER: 'latchkey_test', POSTGRES_PASSWORD: 'latchkey_test' })
    .withCommand(['postgres', '-c', 'fsync=off', '-c', 'max_connections=200'])
    .withExposedPorts(5432)
    .withWaitStrategy(Wait.forLogMessage('database system is ready to accept connections', 2))
    .start()
  const address = `${container.getHost()}:${container.getMappedPort(5432)}`
  return {
    url: `postgresql://latchkey_test:latchkey_test@${address}/postgres`,
    stop: async () => {
      await container.stop()
    },
  }
}

async function startEmbedded(): Promise<Running> {
  const server = await startPostgres()
  return { url: server.url(), stop: () => server.stop() }
}
