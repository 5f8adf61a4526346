import { expect, test } from 'vitest'
import { reportBody } from '../../../src/aggregates/incident/index.ts'
import { readReport } from '../../../src/integrations/kafka/intake/report.ts'
import {
  type ChatReport,
  NotNow,
  reportMessage,
  toKafka,
  toLedger,
} from '../../../src/integrations/telegram/hand-over.ts'
import { LedgerError } from '../../../src/ledger/errors.ts'
import type { IncidentCommands } from '../../../src/ledger/ledger.ts'
import { openMemoryStore } from '../../ledger/support/memory-store.ts'
import { ledgerOn } from '../../ledger/support/requests.ts'
import { ada } from './bot-api-server.ts'
import { identity, keyring } from './talk.ts'

const ref = { chat: -1001, message: 42 }
const report: ChatReport = {
  id: identity.reportId(ref),
  body: reportBody.parse({
    description: 'Płyta pełna\n<b>od 12:00</b>',
    source: 'operator',
    occurredAt: '2026-01-31T12:00:00Z',
  }),
  provenance: { actor: identity.actor(ada), origin: identity.origin, originRef: '-1001/42' },
}

/** The message as the intake finds it. */
function arrived() {
  const { key, value, headers } = reportMessage(report, keyring)
  return {
    ...{ topic: 'incidents.reports', partition: 3, offset: '7', timestamp: '1769868190000' },
    key: Buffer.from(key),
    value: Buffer.from(value),
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
  }
}

test('by way of Kafka a message asks the ledger for the very same as directly', async () => {
  let asked: Parameters<IncidentCommands['report']> | undefined
  const handOver = toLedger({
    report: async (...given) => {
      asked = given
      throw new LedgerError({ code: 'incident-full', limit: 1 })
    },
  })
  await expect(handOver(report)).rejects.toThrow(LedgerError)
  const { asks, origin, originRef, context } = readReport(arrived(), { clusterId: 'a-cluster', keyring })
  expect(asks).toEqual({ report: report.body })
  expect([{ body: report.body, origin, originRef }, context]).toEqual(asked)
})

test('a message that went both ways is one incident', async () => {
  const ledger = await ledgerOn(openMemoryStore())
  await toLedger(ledger.incidents)(report)
  const { asks, origin, originRef, context } = readReport(arrived(), { clusterId: 'a-cluster', keyring })
  if (!('report' in asks)) throw new Error('it is no report')
  const again = await ledger.incidents.report(
    { body: asks.report, origin, originRef: originRef ?? '' },
    context,
  )
  expect(again.incident).toMatchObject({ origin: 'telegram:7001', originRef: '-1001/42' })
  expect(await ledger.history.events(again.incident.id)).toHaveLength(1)
})

test('on the topic nobody else can speak in a chat’s name', () => {
  const { headers, ...record } = arrived()
  const forged = {
    ...record,
    value: Buffer.from('{"description":"Ada was here","source":"operator"}'),
    headers,
  }
  expect(() => readReport(forged, { clusterId: 'a-cluster', keyring })).toThrow(/ledgerprovenance/)
  const { ce_ledgerprovenance: _, ...others } = headers
  const unvouched = readReport({ ...forged, headers: others }, { clusterId: 'a-cluster', keyring })
  expect(unvouched.origin).toBe('kafka')
  expect(unvouched.originRef).toBeUndefined()
  expect(unvouched.context.actor.kind).toBe('kafka')
  // Nor take away the message's own identity, by being there first.
  expect(unvouched.context.idempotency?.scope).not.toBe(identity.origin)
})

test('what the ledger cannot take now is to be handed on again; what it refuses is not', async () => {
  const refusing = (code: 'event-store-unavailable' | 'outcome-unknown' | 'occurred-in-future') =>
    toLedger({
      report: async () => {
        throw new LedgerError({ code, reason: 'away', latest: '' } as never) // the members of all three
      },
    })(report)
  await expect(refusing('event-store-unavailable')).rejects.toThrow(NotNow)
  await expect(refusing('outcome-unknown')).rejects.toThrow(NotNow)
  await expect(refusing('occurred-in-future')).rejects.toThrow(LedgerError)
})

test('without a broker a report is to be handed on again, over a new connection', async () => {
  let connects = 0
  const { handOver } = toKafka(
    {
      producer: () =>
        ({
          connect: async () => {
            connects += 1
            throw new Error('connect ECONNREFUSED')
          },
        }) as never, // as much of a producer as is reached
    },
    'incidents.reports',
    keyring,
  )
  await expect(handOver(report)).rejects.toThrow(NotNow)
  await expect(handOver(report)).rejects.toThrow('ECONNREFUSED')
  expect(connects).toBe(2)
})

test('an identity tells nobody which chat or person it is of', () => {
  const everything = JSON.stringify([identity.reportId(ref), identity.actor(ada).id, identity.pressId('77')])
  expect(everything).not.toMatch(/1001|501\b/)
  expect(identity.reportId({ chat: 1, message: 23 })).not.toBe(identity.reportId({ chat: 12, message: 3 }))
  expect(identity.reportId(ref)).toBe(identity.reportId({ ...ref }))
})
