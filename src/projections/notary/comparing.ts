/** When the whole ledger is held against what was signed, and what follows where it differs. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Term } from '../leadership.ts'
import { ProjectorStopped } from '../projector-stopped.ts'
import { sql } from '../sql.ts'
import { compareWithTiles } from './comparison.ts'
import type { NotarisationOptions } from './notarisation.ts'
import { openNotesToMeet } from './signed-tree.ts'

/** Of the time, pauses included, that a comparison works: the first one of a term, and those after it, for which nobody waits. */
const shareAtFirst = 1 / 2
const shareLater = 1 / 5

/**
 * Where an earlier comparison ended with a difference, whichever process made it: compares before anything is signed, at full speed.
 * @throws ProjectorStopped where the ledger still differs.
 */
export async function settleDifference(
  term: Term,
  options: NotarisationOptions,
  size: number,
): Promise<void> {
  const difference = await readDifference(term)
  if (difference === null) return
  options.log.warn(
    { difference },
    'an earlier comparison found a difference: comparing the whole ledger before anything is signed',
  )
  await compareAll(term, options, size, 1)
  await keepDifference(term, null)
}

/**
 * Compares what was notarised with the ledger, now and again and again, until the term ends.
 * @param size how many events the tiles contain.
 * @throws ProjectorStopped where they differ; it is remembered over restarts.
 */
export async function keepComparing(
  term: Term,
  options: NotarisationOptions,
  size: () => number,
): Promise<void> {
  try {
    for (let share = shareAtFirst; ; share = shareLater) {
      await compareAll(term, options, size(), share)
      await delay(options.compareEveryMs, undefined, { signal: term.signal })
    }
  } catch (error) {
    if (error instanceof ProjectorStopped) {
      // This process stops in any case; where it cannot be remembered, the next one finds it by a comparison of its own.
      await keepDifference(term, error.message).catch((err: unknown) =>
        options.log.error({ err }, 'what the comparison found could not be kept in Postgres'),
      )
    }
    throw error
  }
}

async function compareAll(
  { client, signal }: Term,
  { ledger, keys, log, onCompared }: NotarisationOptions,
  size: number,
  share: number,
): Promise<void> {
  if (size === 0) return
  const notes = await openNotesToMeet(ledger.checkpoints, keys.verifiers, 0)
  let resumedAtMs = performance.now()
  const pause = async (compared: number) => {
    onCompared(compared, false)
    await delay((performance.now() - resumedAtMs) * (1 / share - 1), undefined, { signal })
    resumedAtMs = performance.now()
  }
  await compareWithTiles({ client, entries: ledger.entries, size, notes, signal, pause })
  onCompared(size, true)
  log.info({ events: size }, 'every event is as it was signed')
}

async function readDifference({ client }: Term): Promise<string | null> {
  const { rows } = await client.query<{ difference: string | null }>(sql('queries/difference'))
  return rows[0]?.difference ?? null
}

async function keepDifference({ client }: Term, difference: string | null): Promise<void> {
  await client.query(sql('queries/keep_difference'), [difference])
}
