import type { AccessKeyRefusal } from '../aggregates/access-key/index.ts'
import type { Refusal } from '../aggregates/incident/index.ts'

/** What can go wrong when one asks something of the ledger. The HTTP layer alone knows status numbers. */
export type LedgerFault =
  | Refusal
  | AccessKeyRefusal
  /** If-Match named another revision than the incident has. */
  | { readonly code: 'revision-mismatch'; readonly expected: number; readonly actual: number }
  /** The same idempotency key came with another request before. */
  | { readonly code: 'idempotency-key-reused' }
  /** Other writers kept getting there first. Nothing was appended. */
  | { readonly code: 'contended' }
  /** Sent, but no answer came before the deadline: it may or may not be appended. Safe to retry with a key. */
  | { readonly code: 'outcome-unknown' }
  /** The event store cannot be reached, or refuses writes. Nothing was appended. */
  | { readonly code: 'event-store-unavailable'; readonly reason: string }
  /** The ledger lives in another event store now, or is being moved there. Nothing was appended. */
  | { readonly code: 'ledger-retired'; readonly to: string }
  /** The incident's history holds an event that this version cannot read. */
  | { readonly code: 'history-unreadable'; readonly stream: string; readonly revision: number }
  /** As of a moment before the incident was reported, or a revision it does not have. */
  | { readonly code: 'not-yet-reported' }

export class LedgerError extends Error {
  override readonly name = 'LedgerError'
  readonly fault: LedgerFault

  constructor(fault: LedgerFault, options?: ErrorOptions) {
    super(fault.code, options)
    this.fault = fault
  }
}
