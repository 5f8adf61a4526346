/**
 * Whoever may write to incidents.reports can write there what he likes; who is behind a report and where it came from is not his to say.
 * So an integration of this ledger that sends a report that way vouches for these by a CloudEvents extension, signed under
 * LEDGER_SECRET, which the intake checks. It holds for one report only: its source, its id and the bytes of its value.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { actor } from '../ledger/event.ts'
import type { Keyring } from '../ledger/ledger.ts'

/** The extension's name (CloudEvents 1.0, "Naming Conventions"); in binary mode it is the header `ce_ledgerprovenance`. */
export const provenanceExtension = 'ledgerprovenance'

const nameLength = 255
const provenance = z.strictObject({
  actor,
  /** The integration, as `IncidentReported` has it. It is the scope of the report's id, too. */
  origin: z.string().min(1).max(nameLength),
  originRef: z.string().min(1).max(nameLength),
})
export type Provenance = z.output<typeof provenance>

/** A report as it lies on the topic, in binary mode. */
export interface SentReport {
  /** CloudEvents' `source` and `id`. */
  readonly source: string
  readonly id: string
  readonly value: string | Uint8Array
}

/** The extension's value: who is behind the report, in base64url, and the signature over that and the report. */
export function vouchFor(report: SentReport, provenance: Provenance, keyring: Pick<Keyring, 'sign'>): string {
  const said = Buffer.from(JSON.stringify(provenance)).toString('base64url')
  return `${said}.${keyring.sign(purpose, signedOver(report, said))}`
}

/** Who is behind the report; undefined where the extension's value was not made by this ledger for this very report. */
export function vouchedFor(
  report: SentReport,
  value: string,
  keyring: Pick<Keyring, 'verify'>,
): Provenance | undefined {
  const end = value.indexOf('.')
  const said = value.slice(0, Math.max(end, 0))
  if (!keyring.verify(purpose, signedOver(report, said), value.slice(end + 1))) return undefined
  return provenance.parse(JSON.parse(Buffer.from(said, 'base64url').toString()))
}

/** HKDF's label for the key. */
const purpose = 'report-provenance'

function signedOver({ source, id, value }: SentReport, said: string): string {
  return JSON.stringify([source, id, createHash('sha256').update(value).digest('hex'), said])
}
