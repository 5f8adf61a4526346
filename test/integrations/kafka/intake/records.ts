import type { IHeaders } from 'kafkajs'
import { Rejection } from '../../../../src/integrations/kafka/intake/rejection.ts'
import {
  type Report,
  type ReportRecord,
  readReport,
} from '../../../../src/integrations/kafka/intake/report.ts'
import { openKeyring } from '../../../../src/ledger/keyring.ts'

export const secret = {
  current: { version: 1, value: 'a secret of a test, long enough to be one' },
  previous: [],
}
export const keyring = openKeyring(secret)

export function record(
  value: string | Buffer | null,
  headers: IHeaders = {},
  more: Partial<ReportRecord> = {},
): ReportRecord {
  return {
    ...{ topic: 'incidents.reports', partition: 2, offset: '42', timestamp: '1760000000000', key: null },
    value: value === null ? null : Buffer.from(value),
    // As kafkajs gives them.
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, text]) => [
        name,
        Array.isArray(text) ? text.map((one) => Buffer.from(one)) : text && Buffer.from(text),
      ]),
    ),
    ...more,
  }
}

export const read = (of: ReportRecord): Report => readReport(of, { clusterId: 'a-cluster', keyring })

/** Why a record is not taken: the reason, and the sentence. */
export function rejectionOf(of: ReportRecord): readonly [string, string] {
  try {
    read(of)
  } catch (error) {
    if (error instanceof Rejection) return [error.reason, error.message]
    throw error
  }
  throw new Error('the record was taken')
}
