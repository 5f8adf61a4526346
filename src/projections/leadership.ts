import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from 'pino'
import { connectionConfig } from './database.ts'
import { ProjectorStopped } from './projector-stopped.ts'
import { sql } from './sql.ts'

/** How often a standby looks whether the leader is gone. */
const lookIntervalMs = 200
/** Of a leader's statement; a batch of a catch-up on a busy machine included. */
const answerTimeoutMs = 60_000
/** A server that is gone without a word answers no goodbye. */
const goodbyeTimeoutMs = 1_000
const firstRetryMs = 100
const longestRetryMs = 5_000

/** A term of leadership: it lasts while its connection, which holds the lock, lives. */
export interface Term {
  /** The connection that holds the lock. What is written on it is written by the leader, or not at all. */
  readonly client: pg.Client
  /** Aborts with the reason when the term is over. */
  readonly signal: AbortSignal
  readonly end: (reason: unknown) => void
}

/**
 * Runs `act` while this process is the only one of `name` that does, and again whenever it is elected anew, until `signal`
 * aborts. What `act` throws ends the term, and is logged and retried with backoff; a `ProjectorStopped` is thrown on.
 */
export async function lead(
  options: {
    readonly databaseUrl: string
    readonly name: string
    readonly signal: AbortSignal
    readonly log: Logger
    readonly onState: (state: 'leading' | 'standby') => void
  },
  act: (term: Term) => Promise<void>,
): Promise<void> {
  const { databaseUrl, name, signal, log, onState } = options
  let retryMs = firstRetryMs
  while (!signal.aborted) {
    const began = performance.now()
    try {
      onState('standby')
      await using term = await openTerm(databaseUrl, signal)
      await elected(term, name)
      onState('leading')
      await act(term)
    } catch (error) {
      if (signal.aborted) break
      if (error instanceof ProjectorStopped) throw error
      log.warn({ err: error, projection: name }, 'projecting is interrupted')
    }
    retryMs =
      performance.now() - began > longestRetryMs ? firstRetryMs : Math.min(2 * retryMs, longestRetryMs)
    await delay(retryMs, undefined, { signal }).catch(() => {})
  }
}

async function openTerm(databaseUrl: string, signal: AbortSignal): Promise<Term & AsyncDisposable> {
  const over = new AbortController()
  const client = new pg.Client(connectionConfig({ databaseUrl, answerTimeoutMs }))
  const lost = (error?: Error) => over.abort(error ?? new Error('the connection to Postgres was closed'))
  client.on('error', lost)
  client.on('end', lost)
  await client.connect()
  return {
    client,
    signal: AbortSignal.any([signal, over.signal]),
    end: (reason) => over.abort(reason),
    async [Symbol.asyncDispose]() {
      over.abort(new Error('the term is over'))
      await Promise.race([client.end(), delay(goodbyeTimeoutMs)])
    },
  }
}

async function elected({ client, signal }: Term, name: string): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const { rows } = await client.query<{ locked: boolean }>(sql('queries/try_lock'), [
      `incident ledger: projection ${name}`,
    ])
    if (rows[0]?.locked) return
    await delay(lookIntervalMs, undefined, { signal })
  }
}
