import type pg from 'pg'
import type { CacheEpoch } from '../announcements.ts'
import { sql } from '../sql.ts'

/** The row in Postgres that says which cache may be read: `ledger.cache_epoch`. Every method rejects where Postgres does not answer. */
export interface EpochRow {
  /** Retires what is open and gives the say to a new leader. `secondsRetired`: for how long nothing has been open; null: not known. */
  readonly takeOver: (
    leader: string,
  ) => Promise<{ readonly version: string; readonly secondsRetired: number | null }>
  /** Opens an epoch; false where the leader has lost its say, or has retired since that version. */
  readonly open: (leader: string, version: string, epoch: CacheEpoch) => Promise<boolean>
  /** Retires what is open. When this resolves, whoever asks sees it. Undefined where the leader has lost its say. */
  readonly retire: (leader: string) => Promise<{ readonly version: string } | undefined>
  /** Writes down that the retirement is seen, so that the next leader need not wait for what has passed already. */
  readonly settle: (leader: string, version: string) => Promise<void>
  /** The epoch that is open. Undefined where the leader has lost its say. */
  readonly held: (leader: string) => Promise<{ readonly epoch: string | null } | undefined>
}

export function openEpochRow(pool: pg.Pool): EpochRow {
  return {
    async takeOver(leader) {
      const row = await one<{ version: string; seconds_retired: number | null }>('take_over_cache', [leader])
      if (!row) throw new Error('ledger.cache_epoch has no row')
      return { version: row.version, secondsRetired: row.seconds_retired }
    },
    async open(leader, version, { name, place }) {
      return (await one('open_cache', [leader, version, name, place])) !== undefined
    },
    retire: (leader) => one<{ version: string }>('retire_cache', [leader]),
    async settle(leader, version) {
      await one('settle_cache', [leader, version])
    },
    held: (leader) => one<{ epoch: string | null }>('held_cache', [leader]),
  }

  async function one<Row extends pg.QueryResultRow>(
    query: string,
    values: string[],
  ): Promise<Row | undefined> {
    const { rows } = await pool.query<Row>(sql(`queries/${query}`), values)
    return rows[0]
  }
}
