import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Logger } from 'pino'
import { LedgerError } from '../ledger/errors.ts'
import type { LedgerPosition, LedgerRecord } from '../ledger/event.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { ProjectorStopped } from './projector-stopped.ts'
import { sql } from './sql.ts'

/** The last event that a projection contains. */
export interface Checkpoint {
  /** Its place in the ledger; -1 for none. */
  readonly index: number
  /** Its place in the event store, and its id. Both absent for none. */
  readonly position?: LedgerPosition
  readonly eventId?: string
}

/** A checkpoint that is kept in Postgres, in the transaction that writes the rows. */
export interface StoredCheckpoint extends Checkpoint {
  /** Of the code that made the rows. */
  readonly version: number
  /** Counts rebuilds. */
  readonly generation: number
}

/** The SQLSTATE with which `advance_checkpoint` and `beat` tell that the checkpoint is not where the caller thinks. */
const checkpointMoved = 'IL001'
const firstRetryMs = 100
const longestRetryMs = 2_000

/** The operator's sentence where the store has something else, or nothing, where a checkpoint's event should be. */
export type ForeignStore = (checkpoint: Checkpoint, found: 'another event' | 'no event') => string

/**
 * Holds a checkpoint against the event store: the event there must still be the same. Where it is not, but the ledger was copied to this
 * store and has the same event at the same index, its position is the one that it has here. Waits while the store cannot be reached.
 *
 * @returns the position of its event in this store; undefined where it has none. Another one than its own is for the caller to keep.
 * @throws ProjectorStopped where the store is another one, or was restored to an earlier time.
 */
export async function verifyCheckpoint(
  checkpoint: Checkpoint,
  { readAt, findCopied }: Pick<Ledger, 'readAt' | 'findCopied'>,
  signal: AbortSignal,
  log: Logger,
  foreign: ForeignStore = foreignToReadModel,
): Promise<LedgerPosition | undefined> {
  const { index, position, eventId } = checkpoint
  if (position === undefined || eventId === undefined) return undefined
  const found = await patiently(() => readAt(position), signal, log)
  if (found?.id === eventId) return position
  const copied = await patiently(() => findCopied({ index, eventId }, signal), signal, log)
  if (copied) return copied
  throw new ProjectorStopped(foreign(checkpoint, found ? 'another event' : 'no event'))
}

const foreignToReadModel: ForeignStore = ({ index, position, eventId }, found) =>
  `The event store has ${found} where the read model's last event, ${eventId} ` +
  `(index ${index}, position ${position?.commit}/${position?.prepare}), should be: it is another store, or was restored ` +
  'to an earlier time. Nothing is projected over it. Connect the right store; or, to begin anew from this one, stop the ' +
  'service and drop the schemas ledger and read_model.'

/** `lock`: nobody moves it until the transaction ends. */
export async function readCheckpoint(
  client: pg.ClientBase,
  name: string,
  { lock = false } = {},
): Promise<StoredCheckpoint> {
  const { rows } = await client.query<Record<'version' | 'generation', number> & CheckpointRow>(
    sql(lock ? 'queries/lock_checkpoint' : 'queries/checkpoint'),
    [name],
  )
  const [row] = rows
  if (row === undefined) throw new Error(`there is no projection ${name} in the database`)
  const { version, generation, index, commit, prepare, event_id } = row
  return {
    version,
    generation,
    index: Number(index),
    ...(event_id !== null && {
      position: { commit: BigInt(commit), prepare: BigInt(prepare) },
      eventId: event_id,
    }),
  }
}

/** Where a checkpoint stands after the records that follow it. */
export function movedOver(records: readonly LedgerRecord[], from: StoredCheckpoint): StoredCheckpoint {
  const last = records.at(-1)
  if (last === undefined) return from
  return { ...from, index: from.index + records.length, position: last.position, eventId: last.id }
}

/** The event store is another one, to which the ledger was copied: there the checkpoint's event has this position. */
export async function relocateCheckpoint(
  client: pg.ClientBase,
  name: string,
  { index, eventId }: Checkpoint,
  { commit, prepare }: LedgerPosition,
): Promise<void> {
  await client.query(sql('queries/relocate_checkpoint'), [
    name,
    index,
    eventId,
    String(commit),
    String(prepare),
  ])
}

/** True of the error with which the database refuses to move or announce a checkpoint that another moved. */
export function isCheckpointMoved(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === checkpointMoved
}

interface CheckpointRow {
  readonly index: string
  readonly commit: string
  readonly prepare: string
  readonly event_id: string | null
}

async function patiently<T>(act: () => Promise<T>, signal: AbortSignal, log: Logger): Promise<T> {
  for (let retryMs = firstRetryMs; ; retryMs = Math.min(2 * retryMs, longestRetryMs)) {
    signal.throwIfAborted()
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof LedgerError) || error.fault.code !== 'event-store-unavailable') throw error
      if (retryMs === firstRetryMs) log.warn({ err: error }, 'projecting waits for the event store')
      await delay(retryMs, undefined, { signal })
    }
  }
}
