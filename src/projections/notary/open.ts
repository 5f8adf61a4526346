import type { Logger } from 'pino'
import type { Ledger } from '../../ledger/ledger.ts'
import { openPool } from '../database.ts'
import { runProjector } from '../projector.ts'
import { ProjectorStopped } from '../projector-stopped.ts'
import { notarisation } from './notarisation.ts'
import { openSignedLog, type SignedLog } from './signed-log.ts'
import { openSigningKeys } from './signing-keys.ts'

export interface Notary {
  /** What of the tree is signed, for whoever asks; in every process. */
  readonly signedLog: SignedLog
  /** Signs until the signal aborts: one process leads, the others stand by. */
  readonly notarise: (signal: AbortSignal) => Promise<void>
  readonly health: () => NotaryHealth
  readonly close: () => Promise<void>
}

export interface NotaryHealth {
  /** `elsewhere`: this process does not take part. `stopped`: what the reason says does not pass by waiting. */
  readonly state: 'leading' | 'standby' | 'stopped' | 'elsewhere'
  readonly reason?: string
  /** Events under the newest note, as far as this process has seen; null where it has not led yet. */
  readonly signedSize: number | null
  /** Events of the ledger that no note is over yet; null where this process does not lead. */
  readonly unsignedEvents: number | null
  /**
   * How many events this process has held against the tiles, in the last comparison of the whole ledger since it leads; whether that was all
   * that there were; and when one last ended well, in milliseconds since the Unix epoch.
   */
  readonly comparison: {
    readonly compared: number
    readonly isWhole: boolean
    readonly comparedAtMs: number | null
  } | null
}

export interface NotaryOptions {
  readonly databaseUrl: string
  readonly ledger: Pick<Ledger, 'entries' | 'checkpoints' | 'readAt' | 'findCopied'>
  /** As `openSigningKeys` takes them. */
  readonly keys: { readonly current: string; readonly previous: readonly string[] }
  /** Where the newest note is kept beside Postgres. */
  readonly noteFile: string
  /** From the end of a comparison of the whole ledger with the tiles to the beginning of the next. */
  readonly compareEveryMs: number
  readonly log: Logger
}

const readingConnections = 4
const statementTimeoutMs = 5_000
const answerTimeoutMs = statementTimeoutMs + 1_000

/** The database must have been brought to this version's form. @throws NoteError where a key is none of this ledger's. */
export function openNotary(options: NotaryOptions): Notary {
  const { databaseUrl, ledger, keys: given, noteFile, compareEveryMs, log } = options
  const keys = openSigningKeys(ledger.checkpoints.origin, given.current, given.previous)
  const pool = openPool({ databaseUrl, max: readingConnections, statementTimeoutMs, answerTimeoutMs })
  let role: Pick<NotaryHealth, 'state' | 'reason'> = { state: 'elsewhere' }
  let signedSize: number | null = null
  let seenSize = 0
  let comparison: NotaryHealth['comparison'] = null
  const projection = notarisation({
    ledger,
    keys,
    noteFile,
    compareEveryMs,
    log,
    onSigned: (size) => {
      signedSize = size
    },
    onSeen: (size) => {
      seenSize = size
    },
    onCompared: (compared, isWhole) => {
      const comparedAtMs = isWhole ? Date.now() : (comparison?.comparedAtMs ?? null)
      comparison = { compared, isWhole, comparedAtMs }
    },
  })
  return {
    signedLog: openSignedLog(pool, ledger.checkpoints),
    async notarise(signal) {
      const onState = (state: 'leading' | 'standby') => {
        role = { state }
      }
      const { subscribe } = ledger.entries
      try {
        await runProjector(projection, {
          databaseUrl,
          ledger: { subscribe, readAt: ledger.readAt, findCopied: ledger.findCopied },
          signal,
          log,
          onState,
        })
        role = { state: 'elsewhere' }
      } catch (error) {
        if (!(error instanceof ProjectorStopped)) throw error
        role = { state: 'stopped', reason: error.message }
        log.error(error.message)
      }
    },
    health: () => ({
      ...role,
      signedSize,
      unsignedEvents: role.state === 'leading' ? Math.max(0, seenSize - (signedSize ?? 0)) : null,
      comparison,
    }),
    close: () => pool.end(),
  }
}
