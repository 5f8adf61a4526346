import type { Logger } from 'pino'
import type { Ledger } from '../ledger/ledger.ts'
import { openAnnouncements } from './announcements.ts'
import { openCache } from './cache/index.ts'
import { migrate, openPool } from './database.ts'
import { incidentProjection } from './incident-projector.ts'
import { runProjector } from './projector.ts'
import { ProjectorStopped } from './projector-stopped.ts'
import { openQueries } from './queries.ts'
import type { ReadModel, ReadModelHealth } from './read-model.ts'
import { rebuild } from './rebuild.ts'
import { sql } from './sql.ts'

/** Enough for two cores of Postgres, with room for a slow search. */
const readingConnections = 8
/** What bounds a search with many filters. */
const statementTimeoutMs = 5_000
/** A server that does not end a statement in time itself is gone. */
const answerTimeoutMs = statementTimeoutMs + 1_000
/** Who asks for the health waits no longer for Postgres: it is asked for where something is amiss. */
const healthTimeoutMs = 1_000

/**
 * Opens the read model: brings the database to this version's form, and wires queries, cache, announcements and projector.
 * Nothing is projected until `project` is called.
 *
 * @throws Error where Postgres cannot be reached or refuses the migrations.
 */
export async function openReadModel(options: {
  readonly databaseUrl: string
  /** Absent: incidents are cached in the process that leads. */
  readonly redisUrl?: string | undefined
  readonly ledger: Pick<Ledger, 'subscribe' | 'readAt' | 'findCopied' | 'completeErasure'>
  readonly log: Logger
}): Promise<ReadModel> {
  const { databaseUrl, redisUrl, ledger, log } = options
  await migrate(databaseUrl)
  await using opening = new AsyncDisposableStack()
  const pool = openPool({ databaseUrl, max: readingConnections, statementTimeoutMs, answerTimeoutMs })
  opening.defer(() => pool.end())
  const announcements = await openAnnouncements({ databaseUrl, log })
  opening.defer(() => announcements.close())
  const cache = openCache({ redisUrl, databaseUrl, lease: announcements.cacheLease, log })
  opening.defer(() => cache.close())

  let projecting: Pick<ReadModelHealth['projector'], 'state' | 'reason'> = { state: 'elsewhere' }
  const projection = incidentProjection({
    cache: cache.writer,
    completeErasure: ledger.completeErasure,
    announceLocally: announcements.announceLocally,
    rebuild: async (signal) => void (await rebuild({ databaseUrl, ledger, signal })),
    log,
  })
  const opened = opening.move()
  return {
    queries: openQueries(pool, cache.reader),
    announcements,
    async project(signal) {
      const onState = (state: 'leading' | 'standby') => {
        projecting = { state }
      }
      try {
        await runProjector(projection, { databaseUrl, ledger, signal, log, onState })
        projecting = { state: 'elsewhere' }
      } catch (error) {
        if (!(error instanceof ProjectorStopped)) throw error
        projecting = { state: 'stopped', reason: error.message }
        log.error(error.message)
      }
    },
    async health() {
      const { announcedIndex, secondsSinceBeat } = announcements.health()
      const counted = pool.query<{ count: number }>(sql('queries/unreadable_events'))
      const unreadable = await Promise.race([counted, noAnswer(healthTimeoutMs)]).then(
        ({ rows }) => ({ ok: true, count: rows[0]?.count ?? 0 }) as const,
        (error: unknown) =>
          ({ ok: false, reason: error instanceof Error ? error.message : String(error) }) as const,
      )
      return {
        postgres: unreadable.ok ? { ok: true } : { ok: false, reason: unreadable.reason },
        cache: cache.health(),
        projector: {
          ...projecting,
          announcedIndex,
          secondsSinceBeat,
          unreadableEvents: unreadable.ok ? unreadable.count : 0,
        },
      }
    },
    close: () => opened.disposeAsync(),
  }
}

function noAnswer(timeoutMs: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`Postgres did not answer within ${timeoutMs} ms`)), timeoutMs).unref()
  })
}
