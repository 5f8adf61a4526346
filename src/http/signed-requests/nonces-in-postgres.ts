import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { openPool } from '../../projections/database.ts'
import { sql } from '../../projections/sql.ts'
import { openLeasedNonces } from './nonce-lease.ts'
import type { Nonces } from './nonces.ts'
import { leaseMs, quietMs, type SharedNonces } from './shared-nonces.ts'

const statementTimeoutMs = 1_000
const forgetEveryMs = 60_000
const pageSize = 5_000

/** Nonces in Postgres, in tables that are not logged: a crash empties them. */
export function openNoncesInPostgres(
  databaseUrl: string,
  log: Pick<Logger, 'warn' | 'info' | 'debug'>,
): Nonces {
  return openLeasedNonces(openSharedNonces(databaseUrl, log), log)
}

function openSharedNonces(databaseUrl: string, log: Pick<Logger, 'warn'>): SharedNonces {
  const process = randomUUID()
  // One for the requests, one for the lease.
  const pool = openPool({ databaseUrl, max: 2, statementTimeoutMs, answerTimeoutMs: 2 * statementTimeoutMs })

  const forgetting = setInterval(() => {
    pool.query(sql('queries/forget_nonces')).catch((error: unknown) => {
      log.warn(
        { reason: error instanceof Error ? error.message : String(error) },
        'old nonces are kept for longer',
      )
    })
  }, forgetEveryMs).unref()

  return {
    use: async (uses) => {
      const { rows } = await pool.query<{ is_held: boolean; begun_ms: number; fresh: number[] }>({
        name: 'use_nonces',
        text: sql('queries/use_nonces'),
        values: [
          process,
          uses.map(({ keyId }) => keyId),
          uses.map(({ nonce }) => nonce),
          uses.map(({ keepMs }) => keepMs),
        ],
      })
      const [answer] = rows
      if (!answer) throw new Error('Postgres says nothing of the nonces')
      if (answer.is_held) return { held: true }
      const fresh = new Set(answer.fresh)
      return { held: false, begunMs: answer.begun_ms, fresh: uses.map((_, at) => fresh.has(at + 1)) }
    },
    lease: async () => {
      const { rows } = await pool.query<{ is_given: boolean }>(sql('queries/lease_nonces'), [
        process,
        leaseMs,
        quietMs,
      ])
      return rows[0]?.is_given ?? false
    },
    renew: async () => {
      const { rows } = await pool.query<{ end_ms: number; begun_ms: number; is_wanted: boolean }>({
        name: 'renew_nonces',
        text: sql('queries/renew_nonces'),
        values: [process, leaseMs, quietMs],
      })
      const [row] = rows
      return row && { endMs: row.end_ms, begunMs: row.begun_ms, isWanted: row.is_wanted }
    },
    living: async function* () {
      let last = ['', '']
      for (;;) {
        const { rows } = await pool.query<{ key_id: string; nonce: string }>(sql('queries/living_nonces'), [
          ...last,
          pageSize,
        ])
        const final = rows.at(-1)
        if (!final) return
        yield rows.map(({ key_id, nonce }) => [key_id, nonce] as const)
        last = [final.key_id, final.nonce]
      }
    },
    keep: async (pairs, keepMs) => {
      await pool.query({
        name: 'keep_nonces',
        text: sql('queries/keep_nonces'),
        values: [
          JSON.stringify(pairs.map(([keyId]) => keyId)),
          JSON.stringify(pairs.map(([, nonce]) => nonce)),
          keepMs,
        ],
      })
    },
    release: async () => {
      await pool.query(sql('queries/release_nonces'), [process])
    },
    close: async () => {
      clearInterval(forgetting)
      await pool.query(sql('queries/leave_nonces'), [process]).catch(() => {})
      await pool.end()
    },
  }
}
