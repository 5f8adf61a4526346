import type { ErasableField } from './personal-data.ts'
import type { IncidentId, Instant, Labels, Severity, Source } from './values.ts'

/** Nothing was reported under this id yet. */
export interface Unreported {
  readonly status: 'unreported'
}

interface Facts {
  readonly id: IncidentId
  /** These five are null, or without labels, where `erased` names them. */
  readonly title: string | null
  readonly description: string | null
  readonly severity: Severity
  readonly source: Source
  readonly origin: string
  readonly originRef: string | null
  readonly externalKey: string | null
  readonly assignee: string | null
  readonly labels: Labels
  /** When it began, as reported. */
  readonly occurredAt: Instant
  /** The `at` of the first and of the last event. */
  readonly reportedAt: Instant
  readonly updatedAt: Instant
  /** The `recordedAt` of the last event. */
  readonly recordedAt: Instant
  /** Of the last event, 0 for the first. */
  readonly revision: number
  readonly eventCount: number
  readonly reopenCount: number
  /** Which personal fields are gone; absent where none is. */
  readonly erased?: readonly ErasableField[]
  /** Of the last erasure. Absent where there was none. */
  readonly erasedRevision?: number
}

/** `acknowledgedAt`: when it first left `new`. `resolvedAt`: when it was last resolved, while it is. */
type Progress =
  | { readonly status: 'new'; readonly acknowledgedAt: null; readonly resolvedAt: null }
  | { readonly status: 'in_progress'; readonly acknowledgedAt: Instant; readonly resolvedAt: null }
  | { readonly status: 'on_hold'; readonly acknowledgedAt: Instant; readonly resolvedAt: null }
  | { readonly status: 'resolved'; readonly acknowledgedAt: Instant; readonly resolvedAt: Instant }
  | { readonly status: 'closed'; readonly acknowledgedAt: Instant; readonly resolvedAt: Instant }

export type Incident = Facts & Progress
export type IncidentState = Unreported | Incident

export const unreported: Unreported = { status: 'unreported' }

export function isReported(state: IncidentState): state is Incident {
  return state.status !== 'unreported'
}
