/** What may come in on incidents.reports. These schemas validate the records, and they are what /asyncapi.json shows. */
import { z } from 'zod'
import { name, reportBody, statusBody } from '../../../aggregates/incident/index.ts'

/** A change of status, of the last incident that was reported on Kafka under the external key. */
export const statusReport = statusBody.extend({ externalKey: name })

/** A report's JSON: what POST /incidents takes, or a change of status. */
export const reportValue = z.union([reportBody, statusReport])

/**
 * What a CloudEvent 1.0 says about itself; in binary mode each is a header, after `ce_`. Others are let be. `id` and `source` together
 * are the report's identity.
 */
export const eventAttributes = z.object({
  specversion: z.literal('1.0', 'must be 1.0'),
  id: name,
  source: name,
  type: name,
  /** Ties the report to what else is done for the same reason. Absent: the report's id. */
  correlationid: name.optional(),
  /** W3C Trace Context. */
  traceparent: z.string().optional(),
  /** Set by this ledger's own integrations only: see ../../provenance.ts. */
  ledgerprovenance: z.string().optional(),
})

/** A CloudEvent in structured mode, as its JSON format has it. */
export const structuredReport = eventAttributes.extend({
  datacontenttype: z.string().optional(),
  data: reportValue,
})

/** What the headers of a rejected record say, beside those that it came with. All are text. */
export const rejectionHeaders = z.object({
  /** A word for programs. */
  'rejected-reason': z.string(),
  /** A sentence for people. */
  'rejected-detail': z.string(),
  /** Where the record lies: a record that is rejected twice has the same three. */
  'rejected-topic': z.string(),
  'rejected-partition': z.string(),
  'rejected-offset': z.string(),
  /** Of the record, in milliseconds since the Unix epoch. */
  'rejected-timestamp': z.string(),
  /** Of a record that does not fit into the topic of the rejected ones: what of it was left out. */
  'rejected-omitted': z.string().optional(),
})
export type RejectionHeaders = z.output<typeof rejectionHeaders>

/** Longer values are rejected. The longest report that can be taken has about half of it. */
export const valueBytesAtMost = 256 * 1024
