import type { Logger } from 'pino'
import type { LedgerPosition } from '../ledger/event.ts'
import type { FindCopied, ReadAt, Subscribe } from '../ledger/ledger.ts'
import { type Checkpoint, type ForeignStore, verifyCheckpoint } from './checkpoint.ts'
import { lead, type Term } from './leadership.ts'
import type { LedgerBatch } from './ledger-batch.ts'

/** What a projector drives: something that is made of the ledger's events, in their order, as a subscription hands them out. */
export interface Projection<Batch = LedgerBatch> {
  readonly name: string
  /** The most events that one `apply` is given. */
  readonly batchSize: number
  /** What is said where its last event is not the store's. Default: the read model's words. */
  readonly foreign?: ForeignStore
  /** The last event that it contains, as it was left by whoever led before. */
  readonly checkpoint: (term: Term) => Promise<Checkpoint>
  /** The event store is another one, to which the ledger was copied: there the checkpoint's event has this position, from now on. */
  readonly relocate: (term: Term, checkpoint: Checkpoint, position: LedgerPosition) => Promise<void>
  /** Begins a leader's work, after the checkpoint was found to be the store's. Its resources live as long as the term. */
  readonly begin: (term: Term) => Promise<Projecting<Batch>>
}

export interface Projecting<Batch = LedgerBatch> {
  /** The last event that it contains, now. */
  readonly checkpoint: () => Checkpoint
  /**
   * Takes a batch in and moves the checkpoint over it: wholly or not at all. False: another one moved the checkpoint
   * meanwhile, so that one must begin anew.
   */
  readonly apply: (batch: Batch) => Promise<boolean>
}

export interface ProjectorOptions<Batch = LedgerBatch> {
  readonly databaseUrl: string
  readonly ledger: {
    readonly subscribe: (options: Parameters<Subscribe>[0]) => AsyncIterable<Batch>
    readonly readAt: ReadAt
    readonly findCopied: FindCopied
  }
  readonly signal: AbortSignal
  readonly log: Logger
  readonly onState: (state: 'leading' | 'standby') => void
}

/**
 * Keeps a projection at the head of the ledger until the signal aborts: one process of all that try leads, the others stand
 * by. Whatever can pass (no Postgres, no event store, another leader) is waited for; nothing is skipped or taken in twice.
 *
 * @throws ProjectorStopped where the ledger is not the one that the projection was made of.
 */
export async function runProjector<Batch = LedgerBatch>(
  projection: Projection<Batch>,
  options: ProjectorOptions<Batch>,
): Promise<void> {
  const { ledger, log } = options
  await lead({ ...options, name: projection.name }, async (term) => {
    /** Whether the checkpoint is where it says. */
    const verify = async (checkpoint: Checkpoint) => {
      const position = await verifyCheckpoint(checkpoint, ledger, term.signal, log, projection.foreign)
      if (position === undefined || isSame(position, checkpoint.position)) return true
      await projection.relocate(term, checkpoint, position)
      log.info(
        { projection: projection.name, index: checkpoint.index },
        'found the place in the copied ledger, going on',
      )
      return false
    }
    await verify(await projection.checkpoint(term))
    const projecting = await projection.begin(term)

    let reconnected = false
    const batches = ledger.subscribe({
      after: projecting.checkpoint().position,
      batchSize: projection.batchSize,
      signal: term.signal,
      onConnection: (connected) => {
        reconnected ||= connected
      },
    })
    for await (const batch of batches) {
      // The store that came back may be another, or an older copy.
      if (reconnected && !(await verify(projecting.checkpoint()))) return
      reconnected = false
      if (!(await projecting.apply(batch))) return
    }
    term.signal.throwIfAborted()
  })
}

function isSame(a: LedgerPosition, b: LedgerPosition | undefined): boolean {
  return a.commit === b?.commit && a.prepare === b.prepare
}
