import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { whyNoKafkaProgram } from './kafka-program.ts'

/** Where the tests of this run get a service from, and why there. */
export type Finding =
  | { readonly from: 'environment'; readonly url: string; readonly why: string }
  | { readonly from: 'container' | 'embedded' | 'local program' | 'nowhere'; readonly why: string }

/** `Redis process`, `Kafka broker`: one that a test may pause and kill, which neither a URL nor a container lets it do. */
export type ServiceName = 'Postgres' | 'Redis' | 'Redis process' | 'event store' | 'Kafka' | 'Kafka broker'
export type Findings = Readonly<Record<ServiceName, Finding>>

declare module 'vitest' {
  interface ProvidedContext {
    services: Findings
    /** Of a role that may create databases; undefined when there is no Postgres. */
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
export async function findServices(environment: NodeJS.ProcessEnv): Promise<Findings> {
  const container: Finding | undefined = (await containerEngineAnswers())
    ? { from: 'container', why: 'a container engine answers' }
    : undefined
  const redisServer = await redisServerOnPath()
  const kafkaBroker = await kafkaBrokerOfMaven()
  const find = (variable: string, otherwise: Finding): Finding => {
    const url = environment[variable]
    if (url) return { from: 'environment', url, why: `${variable} names it` }
    if (container) return container
    return { ...otherwise, why: `${variable} is not set, no container engine answers; ${otherwise.why}` }
  }
  return {
    Postgres: find('TEST_DATABASE_URL', { from: 'embedded', why: 'the project brings one' }),
    Redis: find('TEST_REDIS_URL', redisServer),
    'Redis process': redisServer,
    'event store': find('TEST_EVENTSTORE_URL', { from: 'embedded', why: 'the project brings one' }),
    Kafka: find('TEST_KAFKA_BROKERS', kafkaBroker),
    'Kafka broker': kafkaBroker,
  }
}

async function containerEngineAnswers(): Promise<boolean> {
  const { getContainerRuntimeClient } = await import('testcontainers')
  return getContainerRuntimeClient().then(
    () => true,
    () => false,
  )
}

async function redisServerOnPath(): Promise<Finding> {
  return promisify(execFile)('redis-server', ['--version']).then(
    () => ({ from: 'local program', why: 'redis-server is on PATH' }),
    () => ({ from: 'nowhere', why: 'redis-server is not on PATH' }),
  )
}

async function kafkaBrokerOfMaven(): Promise<Finding> {
  const why = await whyNoKafkaProgram()
  return why === undefined
    ? { from: 'local program', why: 'java is on PATH, and the broker is in .cache/kafka or mvn fetches it' }
    : { from: 'nowhere', why }
}
