/** Events as CSV (RFC 4180), for spreadsheets; NDJSON has them exactly. */
import type { LedgerEvent } from '../../projections/read-model.ts'

const columns = [
  'index',
  'id',
  'incidentId',
  'revision',
  'type',
  'at',
  'recordedAt',
  'actorKind',
  'actorId',
  'actorName',
  'correlationId',
  'data',
  'erased',
  'accessKeyId',
] as const

/** A line of names, then a line an event, without line ends. `data` is JSON; `erased` has the names of what is gone, with spaces between. */
export async function* csvOf(events: AsyncIterable<LedgerEvent>): AsyncGenerator<string> {
  yield columns.join()
  for await (const event of events) yield columns.map((column) => cell(textOf(event, column))).join()
}

function textOf(event: LedgerEvent, column: (typeof columns)[number]): string {
  switch (column) {
    case 'actorKind':
      return event.actor.kind
    case 'actorId':
      return event.actor.id
    case 'actorName':
      return event.actor.name ?? ''
    case 'data':
      return JSON.stringify(event.data)
    case 'erased':
      return 'erased' in event ? (event.erased?.join(' ') ?? '') : ''
    case 'incidentId':
      return 'incidentId' in event ? event.incidentId : ''
    case 'accessKeyId':
      return 'accessKeyId' in event ? event.accessKeyId : ''
    default:
      return String(event[column])
  }
}

/** What a spreadsheet would take for a formula gets an apostrophe before it: names and ids come from elsewhere. */
function cell(value: string): string {
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
