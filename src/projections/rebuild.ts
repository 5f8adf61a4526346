import pg from 'pg'
import type { LedgerRecord } from '../ledger/event.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { movedOver, readCheckpoint } from './checkpoint.ts'
import { connectionConfig, nextSchema, projectionName, projectionVersion } from './database.ts'
import { projectBatch } from './incident-projection.ts'
import { standingsIn, writeBatch } from './incident-store.ts'
import { ProjectorStopped } from './projector-stopped.ts'
import { sql, sqlOf } from './sql.ts'

/** The row of `ledger.projection` in which a rebuild keeps its own checkpoint. */
const nextName = `${projectionName}.next`
const lockKey = 'incident ledger: rebuild'
const batchSize = 5_000
/** A reader of the old tables that holds what the drop needs, and the other way round: Postgres lets one of them fail. */
const dropAttempts = 5
const deadlockDetected = '40P01'

export interface RebuildOptions {
  readonly databaseUrl: string
  readonly ledger: Pick<Ledger, 'subscribe'>
  readonly signal: AbortSignal
  /** How many events are projected, of those that there are to project before the swap. */
  readonly onProgress?: (projected: number, of: number) => void
}

/**
 * Makes the read model anew from the first event, beside the live one, which goes on answering and taking events in. When
 * it contains the same events as the live one (not more: readers would see what the cache does not know yet), it takes
 * its place in one transaction, as the next generation. Interrupted anywhere, it leaves the live one as it was.
 *
 * @returns how many events of the ledger the read model now contains.
 * @throws ProjectorStopped where the ledger's events are not those of the live one; Error where another rebuild is at work.
 */
export async function rebuild({ databaseUrl, ledger, signal, onProgress }: RebuildOptions): Promise<number> {
  const client = new pg.Client(connectionConfig({ databaseUrl, schema: nextSchema }))
  // Told by the statement that fails of it.
  client.on('error', () => {})
  await client.connect()
  try {
    await lockRebuild(client)
    const next = await openNext(client)
    const take = async (records: readonly LedgerRecord[]) => {
      const live = await readCheckpoint(client, projectionName)
      const isDone = await next.take(records, live.index)
      onProgress?.(next.index() + 1, live.index + 1)
      return isDone
    }
    let isDone = await take([])
    if (!isDone) {
      for await (const { records } of ledger.subscribe({ batchSize, signal })) {
        isDone = await take(records)
        if (isDone) break
      }
    }
    if (!isDone) signal.throwIfAborted()
    await dropOld(client)
    return next.index() + 1
  } finally {
    await client.end()
  }
}

async function lockRebuild(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ locked: boolean }>(sql('queries/try_lock'), [lockKey])
  if (!rows[0]?.locked) throw new Error('another rebuild of the read model is under way')
}

/** An empty read model beside the live one. */
async function openNext(client: pg.Client) {
  await client.query(sql('queries/make_next_schema'))
  await client.query(sqlOf('read-model/tables'))
  await client.query(sql('queries/begin_rebuild'), [nextName, projectionVersion])
  // Lost with the server, the rebuild begins anew anyway.
  await client.query(sql('queries/without_waiting_for_disk'))
  const standings = standingsIn(client)
  let checkpoint = await readCheckpoint(client, nextName)
  let indexed = false

  async function write(records: readonly LedgerRecord[]) {
    if (records.length === 0) return
    const changes = projectBatch(await standings.before(records), records, checkpoint.index + 1)
    const to = movedOver(records, checkpoint)
    await writeBatch(client, { name: nextName, from: checkpoint, to, changes, farBehind: true })
    checkpoint = to
    standings.keep(changes.incidents)
  }

  /**
   * Holds the live one where it is, takes in of these records what it has, and puts itself in its place if it then has all
   * that the live one has.
   */
  async function level(records: readonly LedgerRecord[]): Promise<boolean> {
    if (!indexed) {
      await client.query(sql('read-model/indexes'))
      await client.query(sql('queries/analyze_read_model'))
      indexed = true
    }
    await client.query('BEGIN')
    const live = await readCheckpoint(client, projectionName, { lock: true })
    await write(records.slice(0, live.index - checkpoint.index))
    const isLevel = checkpoint.index === live.index
    if (isLevel && checkpoint.eventId !== live.eventId) throw foreignLedger(live.index)
    if (isLevel) await client.query(sql('queries/swap_read_model'), [projectionName, nextName])
    await client.query('COMMIT')
    return isLevel
  }

  return {
    index: () => checkpoint.index,
    /** True: the live one was at `liveIndex` or not far from it, and is now replaced. */
    async take(records: readonly LedgerRecord[], liveIndex: number): Promise<boolean> {
      if (checkpoint.index + records.length >= liveIndex) return level(records)
      await write(records)
      return false
    },
  }
}

async function dropOld(client: pg.Client): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(sql('queries/drop_old_schema'))
      return
    } catch (error) {
      const isDeadlock = error instanceof pg.DatabaseError && error.code === deadlockDetected
      if (!isDeadlock || attempt === dropAttempts) throw error
    }
  }
}

function foreignLedger(index: number): ProjectorStopped {
  return new ProjectorStopped(
    `The ledger's event ${index} is not the one that the read model has there: the event store is another one, or was ` +
      'restored to an earlier time. The read model stays as it was.',
  )
}
