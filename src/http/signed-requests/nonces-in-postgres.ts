import type { Logger } from 'pino'
import { openPool } from '../../projections/database.ts'
import { sql } from '../../projections/sql.ts'
import { type Nonces, requireRemembered } from './nonces.ts'

const statementTimeoutMs = 1_000
const forgetEveryMs = 60_000
const mostAtOnce = 1_000

interface Use {
  readonly keyId: string
  readonly nonce: string
  readonly createdMs: number
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
    use: (keyId, nonce, createdMs, untilMs) => {
      const settle = Promise.withResolvers<boolean>()
      waiting.push({ keyId, nonce, createdMs, untilMs, settle })
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
      const { rows } = await pool.query<{ key_id: string; nonce: string; begun_ms: number | null }>({
        name: 'use_nonces',
        text: sql('queries/use_nonces'),
        values: [
          given.map(({ keyId }) => keyId),
          given.map(({ nonce }) => nonce),
          given.map(({ untilMs }) => new Date(untilMs).toISOString()),
        ],
      })
      const begunMs = new Map(rows.map(({ key_id, nonce, begun_ms }) => [placeOf(key_id, nonce), begun_ms]))
      if (rows[0]?.begun_ms === null) await pool.query(sql('queries/begin_nonces'))
      for (const [place, use] of firsts) settle(use, begunMs.get(place))
    } catch (error) {
      for (const { settle } of given) settle.reject(error)
    }
  }
}

/** @param begunMs when the memory began, null where it was lost, undefined for a nonce that was used before. */
function settle({ createdMs, settle: { resolve, reject } }: Use, begunMs: number | null | undefined): void {
  try {
    if (begunMs !== undefined) requireRemembered(createdMs, begunMs ?? Number.POSITIVE_INFINITY)
    resolve(begunMs !== undefined)
  } catch (error) {
    reject(error)
  }
}

function placeOf(keyId: string, nonce: string): string {
  return JSON.stringify([keyId, nonce])
}
