import type { IncidentId } from '../aggregates/incident/index.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { accountName } from './account-name.ts'
import { type Terminal, writeJson } from './terminal.ts'

export interface EraseOptions {
  readonly ledger: Pick<Ledger, 'incidents'>
  readonly terminal: Terminal
  readonly json: boolean
  readonly reason: string
  readonly correlationId: string
}

/** Erases the personal data of an incident for good. A running service forgets it within a second. */
export async function eraseIncident(
  id: IncidentId,
  { ledger, terminal, json, reason, correlationId }: EraseOptions,
): Promise<void> {
  const { outcome, incident } = await ledger.incidents.change(
    id,
    { type: 'ErasePersonalData', body: { reason } },
    {
      actor: { kind: 'system', id: 'command-line', name: `incident-ledger erase (${accountName()})` },
      correlationId,
    },
  )
  const { revision, erased = [] } = incident
  if (json) writeJson(terminal, { type: 'erasure', id, outcome, revision, erased })
  else if (outcome === 'unchanged') terminal.out.write('Nothing was recorded since it was erased.\n')
  else terminal.out.write(`The personal data of ${id} is erased, up to its revision ${revision - 1}.\n`)
}
