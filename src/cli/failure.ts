import { LedgerError, type LedgerFault } from '../ledger/errors.ts'

/** Why a command failed, for a person to read; of what nobody foresaw, where in the program it came from. */
export function failureText(error: unknown): string {
  if (error instanceof LedgerError) return faultSentence(error.fault)
  if (error instanceof TypeError || error instanceof RangeError) return error.stack ?? error.message
  return error instanceof Error ? error.message : String(error)
}

function faultSentence(fault: LedgerFault): string {
  switch (fault.code) {
    case 'incident-not-found':
      return 'there is no incident of that id'
    case 'not-yet-reported':
      return 'the incident was not reported by then'
    case 'access-key-not-found':
      return 'there is no access key of that id: `keys list` shows those there are'
    case 'expiry-in-past':
      return 'the key would have expired already: --expires must lie in the future'
    case 'event-store-unavailable':
      return `the event store cannot be reached, or refuses writes (${fault.reason})`
    case 'ledger-retired':
      return `the ledger was moved, or is being moved, to ${fault.to}: connect to that event store`
    case 'outcome-unknown':
      return 'the event store did not say in time whether it took an event: run it again'
    case 'contended':
      return 'others kept writing to the same incident: run it again'
    case 'history-unreadable':
      return `this version cannot read event ${fault.revision} of ${fault.stream}`
    default:
      return fault.code
  }
}
