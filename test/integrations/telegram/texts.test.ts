import { expect, test } from 'vitest'
import { limits } from '../../../src/aggregates/incident/index.ts'
import { openList, summary, tidings } from '../../../src/integrations/telegram/texts.ts'
import type { IncidentRecord } from '../../../src/ledger/event.ts'
import { newIncidentId, report, writer } from '../../projections/history.ts'

/** https://core.telegram.org/bots/api#sendmessage */
const longestMessage = 4_096

test('no text is longer than Telegram takes, whatever the incident’s texts are', () => {
  const long = (length: number) => '😀'.repeat(length / 2)
  const { write, incident } = writer()
  const id = newIncidentId()
  const records = [
    ...write(id, report({ title: long(200), description: long(10_000), assignee: long(254) })),
    ...write(id, { type: 'ChangeStatus', body: { status: 'resolved', reason: long(limits.remarkLength) } }),
    ...write(id, { type: 'AddNote', noteId: '01932f60-1b7e-7c44-8d0a-5e6f7a8b9c0d', text: long(4_000) }),
    ...write(id, { type: 'Revise', body: { severity: 'low', labels: { a: 'b' } } }),
  ]
  const linkTo = () => `https://incidents.example.org/incidents/${id}`
  const texts = records.map((unplaced) => {
    const record = unplaced as IncidentRecord // the writer makes no others, and their place does not matter
    const actor = { ...record.metadata.actor, name: long(254) }
    return tidings({ ...record, metadata: { ...record.metadata, actor } }, incident(id), linkTo)
  })
  texts.push(summary(incident(id), linkTo), openList(Array(10).fill(incident(id)), true))
  for (const text of texts) {
    expect(text.length).toBeLessThanOrEqual(longestMessage)
    expect(text.isWellFormed()).toBe(true)
    expect(text).not.toBe('')
  }
})
