import type { Refusal } from '../../aggregates/incident/index.ts'

/** Why the ledger did not take a row, for a person to read. */
export function refusalSentence(refusal: Refusal): string {
  switch (refusal.code) {
    case 'incident-not-found':
      return 'no row before it reported the incident'
    case 'incident-exists':
      return 'the incident was reported before'
    case 'illegal-transition': {
      const allowed = refusal.allowed.join(', ') || 'nothing'
      return `${refusal.to} cannot follow ${refusal.from}, in which the incident is in the ledger (allowed: ${allowed})`
    }
    case 'incident-closed':
      return 'the incident is closed in the ledger, and only notes can be added'
    case 'incident-full':
      return `the incident has ${refusal.limit} events, and cannot have more`
    case 'too-many-labels':
      return `the incident would have more than ${refusal.limit} labels`
    case 'occurred-in-future':
      return `it began in the future (at the latest: ${refusal.latest})`
    default:
      return refusal satisfies never
  }
}
