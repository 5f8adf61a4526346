import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { sql } from './sql.ts'

/** What `queries/heard.sql` answers. Counts beyond 2^53 come as decimal strings. */
export interface HeardRow {
  /** Null in these five: nothing has ever been projected. */
  readonly generation: number | null
  readonly index: string | null
  readonly commit: string | null
  readonly prepare: string | null
  readonly far_behind: boolean | null
  /** Null: never. */
  readonly seconds_since_beat: number | null
  /** Null in both: no cache may be read. */
  readonly epoch: string | null
  readonly place: string | null
}

interface HearingOptions {
  readonly databaseUrl: string
  /** What a NOTIFY carried. */
  readonly onNotification: (payload: string) => void
  /** `askedAtMs`: when the question was sent, by `performance.now()`; the answer is at least as young. */
  readonly onAnswer: (row: HeardRow, askedAtMs: number) => void
  /** Told once when the connection is lost, and once when it is back. */
  readonly onConnection: (lost: Error | undefined) => void
  readonly signal: AbortSignal
}

const pollIntervalMs = 250
const answerTimeoutMs = 1_000
const connectTimeoutMs = 2_000
const shortestPauseMs = 100
const longestPauseMs = 1_000

/**
 * Listens on a connection of its own, and asks at once after each LISTEN, each empty notification and each 250 ms, so that
 * what a notification would have told is late by that much at most. Connects again for ever, until the signal aborts.
 */
export async function hear(options: HearingOptions): Promise<void> {
  const { signal, onConnection } = options
  let pauseMs = shortestPauseMs
  let lost = false
  while (!signal.aborted) {
    await hearOnOneConnection(options, () => {
      pauseMs = shortestPauseMs
      if (lost) onConnection(undefined)
      lost = false
    }).catch((error: Error) => {
      if (!lost) onConnection(error)
      lost = true
    })
    await delay(pauseMs, undefined, { signal }).catch(() => {})
    pauseMs = Math.min(2 * pauseMs, longestPauseMs)
  }
}

/** Resolves when the signal aborts, rejects when the connection fails. */
async function hearOnOneConnection(options: HearingOptions, onFirstAnswer: () => void): Promise<void> {
  const { databaseUrl, signal, onNotification, onAnswer } = options
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: answerTimeoutMs,
    keepAlive: true,
    application_name: 'incident-ledger announcements',
  })
  const alarm = new AbortController()
  let wake = () => {}
  let askAgain = false
  client.on('error', (error) => alarm.abort(error))
  client.on('end', () => alarm.abort(new Error('the connection ended')))
  client.on('notification', ({ payload }) => {
    if (payload) onNotification(payload)
    else askAgain = true
    if (askAgain) wake()
  })
  const stop = () => wake()
  signal.addEventListener('abort', stop)
  alarm.signal.addEventListener('abort', stop)
  try {
    await client.connect()
    await client.query(sql('queries/listen'))
    for (let answers = 0; !signal.aborted; answers++) {
      askAgain = false
      const askedAtMs = performance.now()
      const { rows } = await client.query<HeardRow>({ name: 'heard', text: sql('queries/heard') })
      const [row] = rows
      if (row) onAnswer(row, askedAtMs)
      if (answers === 0) onFirstAnswer()
      if (!askAgain) await nextTurn()
      alarm.signal.throwIfAborted()
    }
  } finally {
    signal.removeEventListener('abort', stop)
    const ended = client.end().catch(() => {})
    // A server that did not answer may not answer the farewell either.
    if (signal.aborted) await Promise.race([ended, delay(answerTimeoutMs, undefined, { ref: false })])
  }

  function nextTurn() {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pollIntervalMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
      if (signal.aborted || alarm.signal.aborted) wake()
    })
  }
}
