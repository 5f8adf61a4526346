/**
 * Where the event store and Postgres are: those that the configuration names, those of the service that is using this
 * DATA_DIR, or embedded ones, started here. Nothing is ever opened twice.
 */
import { join } from 'node:path'
import type { Config, Secret } from './config.ts'
import { claimDataDir } from './embedded/data-dir.ts'
import { startEventStoreNode } from './embedded/event-store/node.ts'
import { startEmbeddedPostgres } from './embedded/postgres.ts'
import { loadOrCreateSecret } from './embedded/secret.ts'

export interface Stores {
  readonly eventStoreUrl: string
  /** `owned`: started here. `attached`: of the service that owns the DATA_DIR. `configured`: by EVENTSTORE_URL and DATABASE_URL. */
  readonly origin: 'owned' | 'attached' | 'configured'
  readonly databaseUrl: string
  readonly secret: Secret
  /** Resolves with the reason when an embedded part died that cannot be started again; otherwise never. */
  readonly died: Promise<Error>
  /** Stops what was started here, in reverse order. */
  readonly close: () => Promise<void>
}

/**
 * Opens the stores for a service, which lets other processes attach to what it starts, or for a command that is soon done.
 * @throws Error of one line where a store cannot be started or the DATA_DIR is taken by something that cannot be attached to.
 */
export async function openStores(
  config: Config,
  { purpose, log }: { readonly purpose: 'service' | 'command'; readonly log: (line: string) => void },
): Promise<Stores> {
  const { eventStoreUrl, databaseUrl } = config
  if (eventStoreUrl && databaseUrl && config.secret) {
    return {
      eventStoreUrl,
      databaseUrl,
      secret: config.secret,
      origin: 'configured',
      died: never,
      close: async () => {},
    }
  }
  await using opened = new AsyncDisposableStack()
  const claim = await claimDataDir(config.dataDir)
  if (claim.kind === 'attached') {
    return {
      eventStoreUrl: eventStoreUrl ?? claim.info.eventStoreUrl,
      databaseUrl: databaseUrl ?? claim.info.databaseUrl,
      secret: await secretOf(config),
      origin: 'attached',
      died: never,
      close: async () => {},
    }
  }
  opened.defer(() => claim.release())
  let died: Promise<Error> = never
  const secret = await secretOf(config)
  const urls = {
    eventStoreUrl: eventStoreUrl ?? (await startedEventStore()),
    databaseUrl: databaseUrl ?? (await startedPostgres()),
  }
  if (purpose === 'service') {
    await claim.publish({ pid: process.pid, startedAt: new Date().toISOString(), ...urls })
  }
  const owned = opened.move()
  return { ...urls, secret, origin: 'owned', died, close: () => owned.disposeAsync() }

  async function startedEventStore() {
    const node = await startEventStoreNode({ dataDir: join(config.dataDir, 'event-store') })
    opened.defer(() => node.close())
    died = node.died
    return node.url
  }

  async function startedPostgres() {
    const postgres = await startEmbeddedPostgres({ dataDir: join(config.dataDir, 'postgres'), log })
    opened.defer(() => postgres.close())
    return postgres.url
  }
}

const never = new Promise<never>(() => {})

/** LEDGER_SECRET, or the one that the first start made. */
async function secretOf(config: Config): Promise<Secret> {
  if (config.secret) return config.secret
  return { version: 1, value: await loadOrCreateSecret(join(config.dataDir, 'ledger-secret')) }
}

/** LEDGER_SIGNING_KEY, or the one that the first start made. @throws Error of one line where it cannot be used. */
export async function signingKeyOf(config: Config): Promise<string> {
  return config.signingKey ?? loadOrCreateSecret(join(config.dataDir, 'signing-key'))
}
