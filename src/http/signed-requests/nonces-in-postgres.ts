import type { Logger } from 'pino'
import { openPool } from '../../projections/database.ts'
import { sql } from '../../projections/sql.ts'
import type { Nonces } from './nonces.ts'

const statementTimeoutMs = 1_000
const forgetEveryMs = 60_000
const mostAtOnce = 1_000

interface Use {
  readonly keyId: string
  readonly nonce: string
  readonly untilMs: number
  readonly settle: PromiseWithResolvers<boolean>
}

/** Nonces in Postgres. Those that come while a statement is under way go together in the next one. */
export function openNoncesInPostgres(databaseUrl: string, log: Pick<Logger, 'warn'>): Nonces {
  const pool = openPool({ databaseUrl, max: 1, statementTimeoutMs, answerTimeoutMs: 2 * statementTimeoutMs })
  const waiting: Use[] = []
  let working: Promise<void> | undefined

  const forgetting = setInterval(() => {
    pool.query(sql('queries/forget_nonces')).catch((error: unknown) => {
      log.warn(
        { reason: error instanceof Error ? error.message : String(error) },
        'old nonces are kept for longer',
      )
    })
  }, forgetEveryMs).unref()

  return {
    use: (keyId, nonce, _createdMs, untilMs) => {
      const settle = Promise.withResolvers<boolean>()
      waiting.push({ keyId, nonce, untilMs, settle })
      working ??= work()
      return settle.promise
    },
    close: async () => {
      clearInterval(forgetting)
      await working
      await pool.end()
    },
  }

  async function work(): Promise<void> {
    while (waiting.length > 0) await useAll(waiting.splice(0, mostAtOnce))
    working = undefined
  }

  async function useAll(uses: readonly Use[]): Promise<void> {
    const firsts = new Map<string, Use>()
    for (const use of uses) {
      const place = placeOf(use.keyId, use.nonce)
      if (firsts.has(place)) use.settle.resolve(false)
      else firsts.set(place, use)
    }
    const given = [...firsts.values()]
    try {
      const { rows } = await pool.query<{ key_id: string; nonce: string }>(sql('queries/use_nonces'), [
        given.map(({ keyId }) => keyId),
        given.map(({ nonce }) => nonce),
        given.map(({ untilMs }) => new Date(untilMs).toISOString()),
      ])
      const fresh = new Set(rows.map(({ key_id, nonce }) => placeOf(key_id, nonce)))
      for (const [place, { settle }] of firsts) settle.resolve(fresh.has(place))
    } catch (error) {
      for (const { settle } of given) settle.reject(error)
    }
  }
}

function placeOf(keyId: string, nonce: string): string {
  return JSON.stringify([keyId, nonce])
}
