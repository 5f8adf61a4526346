/** What docs/kafka.md shows of reports is taken as it says, and it tells every reason for which one is not. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { recordFaults } from '../../src/integrations/kafka/intake/rejection.ts'
import { rejectionHeaders, valueBytesAtMost } from '../../src/integrations/kafka/intake/schemas.ts'
import { read, record } from '../integrations/kafka/intake/records.ts'

const page = await readFile(fileURLToPath(new URL('../../docs/kafka.md', import.meta.url)), 'utf8')
const [, section = ''] = /^## Reports in\n([\s\S]*?)^## /m.exec(page) ?? []

test('each example of a value is taken', () => {
  const [report, change] = [...section.matchAll(/```json\n(.*?)```/gs)].map(([, json = '']) =>
    read(record(json)),
  )
  expect(report?.asks).toMatchObject({ report: { externalKey: 'disk-7' } })
  expect(change?.asks).toMatchObject({ change: { externalKey: 'disk-7', status: 'resolved' } })
})

test('what the example sends is taken as a CloudEvent', () => {
  const [, json = ''] = /echo '(.*)' \|/.exec(section) ?? []
  const headers = [...section.matchAll(/-H ([\w-]+)=(\S+)/g)].map(([, name = '', value = '']) => [
    name,
    value,
  ])
  const { asks, context } = read(record(json, Object.fromEntries(headers)))
  expect(asks).toMatchObject({ report: { description: 'The disk is full' } })
  expect(context).toMatchObject({
    causationId: '2026-11-24-0017',
    idempotency: { scope: 'kafka-event:/plant/7', key: '2026-11-24-0017' },
  })
})

test('each reason and each header of a rejected record is told, and the longest value', () => {
  const ofTheLedger = [
    ...['incident-not-found', 'illegal-transition', 'incident-full', 'occurred-in-future'],
    ...['idempotency-key-reused', 'history-unreadable'],
  ]
  const told = [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name)
  expect(told.filter((name) => !name?.startsWith('rejected-')).toSorted()).toEqual(
    [...recordFaults, ...ofTheLedger].toSorted(),
  )
  for (const name of Object.keys(rejectionHeaders.shape)) expect(section).toContain(`\`${name}\``)
  expect(section).toContain(`${valueBytesAtMost / 1024} KiB`)
})
