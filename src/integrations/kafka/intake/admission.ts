import { LedgerError } from '../../../ledger/errors.ts'
import type { CommandAnswer, IncidentCommands } from '../../../ledger/ledger.ts'
import { faultRejection } from './rejection.ts'
import type { Report } from './report.ts'

/** The ledger cannot take anything just now; waiting helps. The message says why. */
export class NotNow extends Error {
  override readonly name = 'NotNow'
}

/**
 * Gives a report to the ledger. When this resolves, the ledger has it, and has it once however often it is given.
 * @throws Rejection; NotNow
 */
export async function admit(
  { asks, origin, originRef, context }: Report,
  incidents: Pick<IncidentCommands, 'report' | 'changeLatest'>,
): Promise<CommandAnswer['outcome']> {
  try {
    if ('report' in asks) {
      const report = { body: asks.report, origin, ...(originRef !== undefined && { originRef }) }
      return (await incidents.report(report, context)).outcome
    }
    const { externalKey, ...body } = asks.change
    const command = { type: 'ChangeStatus', body } as const
    return (await incidents.changeLatest({ origin, externalKey }, command, context)).outcome
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error
    const { fault } = error
    if (!passing.has(fault.code)) throw faultRejection(fault, { cause: error })
    const why = 'reason' in fault ? `${fault.code}: ${fault.reason}` : fault.code
    throw new NotNow(why, { cause: error })
  }
}

const passing: ReadonlySet<string> = new Set([
  'contended',
  'outcome-unknown',
  'event-store-unavailable',
  'ledger-retired',
] satisfies LedgerError['fault']['code'][])
