import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { inject } from 'vitest'

/** Where the tests of this run get a service from, and why there. */
export type Finding =
  | { readonly from: 'environment'; readonly url: string; readonly why: string }
  | { readonly from: 'container' | 'embedded' | 'local program'; readonly why: string }
  | { readonly from: 'nowhere'; readonly why: string }

/** `Redis process`: one that a test may pause and kill, which neither a URL nor a container lets it do. */
export type ServiceName = 'Postgres' | 'Redis' | 'Redis process' | 'event store' | 'Kafka'

declare module 'vitest' {
  interface ProvidedContext {
    services: Readonly<Record<ServiceName, Finding>>
    /** An account that may create databases; absent when there is no Postgres. */
    databaseUrl: string | undefined
  }
}

/** What this run found for a service; the run's global setup has printed it. */
export function service(name: ServiceName): Finding {
  return inject('services')[name]
}

/** For `describe.skipIf(isMissing('Redis'))`. */
export function isMissing(name: ServiceName): boolean {
  return service(name).from === 'nowhere'
}

/** Looks in this order: a URL in the environment, a container engine, what the product embeds or this machine has installed. */
export async function findServices(environment: NodeJS.ProcessEnv): Promise<Record<ServiceName, Finding>> {
  const fromUrl = (variable: string): Finding | undefined => {
    const url = environment[variable]
    return url ? { from: 'environment', url, why: `${variable} names it` } : undefined
  }
  const container = await containerEngine()
  const inContainer: Finding | undefined = container.answers
    ? { from: 'container', why: 'a container engine answers' }
    : undefined
  const redisProgram = await localRedis()
  const otherwise = (missing: string): Finding => ({ from: 'nowhere', why: `${missing}; ${container.why}` })

  return {
    Postgres: fromUrl('TEST_DATABASE_URL') ??
      inContainer ?? { from: 'embedded', why: `TEST_DATABASE_URL is not set; ${container.why}` },
    Redis:
      fromUrl('TEST_REDIS_URL') ??
      inContainer ??
      redisProgram ??
      otherwise('TEST_REDIS_URL is not set, redis-server is not on PATH'),
    'Redis process': redisProgram ?? { from: 'nowhere', why: 'redis-server is not on PATH' },
    'event store':
      fromUrl('TEST_EVENTSTORE_URL') ??
      inContainer ??
      embeddedEventStore() ??
      otherwise('TEST_EVENTSTORE_URL is not set, the embedded node is not built'),
    Kafka: fromUrl('TEST_KAFKA_BROKERS') ?? inContainer ?? otherwise('TEST_KAFKA_BROKERS is not set'),
  }
}

async function containerEngine(): Promise<{ readonly answers: boolean; readonly why: string }> {
  const { getContainerRuntimeClient } = await import('testcontainers')
  return getContainerRuntimeClient().then(
    () => ({ answers: true, why: 'a container engine answers' }),
    () => ({ answers: false, why: 'no container engine answers' }),
  )
}

async function localRedis(): Promise<Finding | undefined> {
  return promisify(execFile)('redis-server', ['--version']).then(
    ({ stdout }) => ({ from: 'local program', why: stdout.trim().split(' ').slice(0, 3).join(' ') }),
    () => undefined,
  )
}

function embeddedEventStore(): Finding | undefined {
  const folder = new URL('../../src/embedded/event-store/', import.meta.url)
  return existsSync(folder) ? { from: 'embedded', why: 'the node of our own' } : undefined
}
