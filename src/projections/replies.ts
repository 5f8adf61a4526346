import type pg from 'pg'
import { type Instant, instantOf } from '../aggregates/incident/index.ts'
import type { LedgerPosition } from '../ledger/event.ts'
import type { Checkpoint } from './checkpoint.ts'
import { sql } from './sql.ts'

/** How far an integration is in telling people what has become of their reports. */
export interface RepliesCheckpoint extends Checkpoint {
  /** What was recorded before this is not told. */
  readonly since: Instant
}

/**
 * The checkpoint of the integration `name`; where it has none, one at the ledger's beginning with `since` now: nobody is to be told again,
 * in all the ledger's length, what he was told before the checkpoint was lost.
 */
export async function openReplies(
  client: pg.ClientBase,
  name: string,
  nowMs: number,
): Promise<RepliesCheckpoint> {
  await client.query(sql('queries/begin_replies'), [name, instantOf(nowMs)])
  const { rows } = await client.query<RepliesRow>(sql('queries/replies'), [name])
  const [row] = rows
  if (row === undefined) throw new Error(`there are no replies of ${name} in the database`)
  const { since, index, commit, prepare, event_id } = row
  return {
    since,
    index: Number(index),
    ...(event_id !== null && {
      position: { commit: BigInt(commit), prepare: BigInt(prepare) },
      eventId: event_id,
    }),
  }
}

/** Durably, when it resolves. False: another process moved it meanwhile. */
export async function moveReplies(
  client: pg.ClientBase,
  name: string,
  from: Checkpoint,
  { index, position, eventId }: Required<Checkpoint>,
): Promise<boolean> {
  const { commit, prepare } = position
  const { rowCount } = await client.query(sql('queries/move_replies'), [
    name,
    from.index,
    index,
    String(commit),
    String(prepare),
    eventId,
  ])
  return rowCount === 1
}

/** The event store is another one, to which the ledger was copied: there the checkpoint's event has this position. */
export async function relocateReplies(
  client: pg.ClientBase,
  name: string,
  { index, eventId }: Checkpoint,
  { commit, prepare }: LedgerPosition,
): Promise<void> {
  await client.query(sql('queries/relocate_replies'), [name, index, eventId, String(commit), String(prepare)])
}

/** For a ledger that is not the one that the checkpoint is of. */
export async function beginRepliesAnew(client: pg.ClientBase, name: string, nowMs: number): Promise<void> {
  await client.query(sql('queries/begin_replies_anew'), [name, instantOf(nowMs)])
}

interface RepliesRow {
  readonly since: Instant
  readonly index: string
  readonly commit: string
  readonly prepare: string
  readonly event_id: string | null
}
