import { randomUUID } from 'node:crypto'
import type { Message } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { vouchFor } from '../../../../src/integrations/provenance.ts'
import type { Ledger } from '../../../../src/ledger/ledger.ts'
import { openLedger } from '../../../../src/ledger/open.ts'
import { silent } from '../../../ledger/support/requests.ts'
import { type EventStoreProcess, startEventStoreProcess } from '../../../support/event-store.ts'
import { startTestKafka, type TestKafka } from '../../../support/kafka.ts'
import { isMissing } from '../../../support/services.ts'
import { runIntake } from './intakes.ts'
import { keyring, secret } from './records.ts'
import { eventsIn, headerOf, rejectedRecords, sendReports } from './topics.ts'

describe.skipIf(isMissing('Kafka'))('The intake', () => {
  let kafka: TestKafka
  let eventStore: EventStoreProcess
  let ledger: Ledger

  beforeAll(async () => {
    ;[kafka, eventStore] = await Promise.all([startTestKafka(), startEventStoreProcess()])
    ledger = await openLedger({ eventStoreUrl: eventStore.url, secret, log: silent })
  })
  afterAll(async () => {
    await ledger?.close()
    await Promise.all([kafka?.close(), eventStore?.close()])
  })

  /** Topics of the test's own. */
  function begin() {
    const { brokers } = kafka
    const topicPrefix = `${kafka.topicPrefix}${randomUUID()}.`
    return {
      topic: `${topicPrefix}incidents.reports`,
      send: (...messages: Message[]) => sendReports(brokers, topicPrefix, messages),
      run: () => runIntake({ brokers, topicPrefix, ledger }),
      rejected: (atLeast: number) => rejectedRecords(brokers, topicPrefix, atLeast),
      /** The events that some report of this test caused, in order. */
      caused: async (...causes: string[]) =>
        (await eventsIn(ledger)).filter(({ metadata }) => causes.includes(metadata.$causationId ?? '')),
    }
  }
  const body = (more = {}) => ({ description: 'The disk is full', source: 'monitoring', ...more })
  const event = (id: string, more = {}) => ({
    ...{ ce_specversion: '1.0', ce_id: id, ce_source: '/plant/7', ce_type: 'IncidentReport' },
    ...{ 'content-type': 'application/json', ...more },
  })

  test('takes CloudEvents of both modes, plain JSON and changes of status, each with what caused it', async () => {
    const { topic, send, run, caused } = begin()
    const [binary, structured, change] = [randomUUID(), randomUUID(), randomUUID()]
    const externalKey = randomUUID()
    await send(
      { key: 'a', value: JSON.stringify(body({ externalKey })), headers: event(binary) },
      {
        key: 'a',
        value: JSON.stringify({
          ...{ specversion: '1.0', id: structured, source: '/plant/7', type: 'IncidentReport' },
          data: body({ title: 'structured' }),
        }),
        headers: { 'content-type': 'application/cloudevents+json' },
      },
      { key: 'a', value: JSON.stringify(body({ title: 'plain' })), partition: 0 },
      { key: 'a', value: JSON.stringify({ externalKey, status: 'resolved' }), headers: event(change) },
    )
    await using intake = run()
    await intake.is('has taken all', ({ taken }) => taken === 4)
    expect(intake.health()).toMatchObject({ state: 'taking', rejected: 0 })

    const place = `${topic}/0/0`
    const events = await caused(binary, structured, place, change)
    const [reported] = await caused(binary)
    const [changed] = await caused(change)
    const titles = events.flatMap(({ event }) => (event.type === 'IncidentReported' ? event.data.title : []))
    expect(titles.toSorted()).toEqual(['The disk is full', 'plain', 'structured'])
    for (const { event, metadata } of events) {
      expect(metadata.actor).toEqual({ kind: 'kafka', id: topic, name: topic })
      if (event.type === 'IncidentReported') expect(event.data.origin).toBe('kafka')
    }
    expect(changed?.event).toMatchObject({ type: 'IncidentStatusChanged', data: { to: 'resolved' } })
    expect(changed?.incidentId).toBe(reported?.incidentId)
  })

  test('believes who is behind a report only where an integration vouched for it', async () => {
    const { send, run, caused } = begin()
    const id = randomUUID()
    const value = JSON.stringify(body())
    const actor = { kind: 'telegram', id: 'a-hash', name: 'Żaneta' } as const
    const provenance = { actor, origin: 'telegram:1', originRef: '-1/7' }
    const ledgerprovenance = vouchFor({ source: 'telegram:1', id, value }, provenance, keyring)
    const headers = event(id, { ce_source: 'telegram:1', ce_ledgerprovenance: ledgerprovenance })
    await send({ key: id, value, headers })
    await using intake = run()
    await intake.is('has taken it', ({ taken }) => taken === 1)
    const [reported] = await caused(id)
    expect(reported?.metadata.actor).toEqual(actor)
    expect(reported?.event.data).toMatchObject({ origin: 'telegram:1', originRef: '-1/7' })
  })

  test('rejects what cannot be taken as it came, with the reason and the place, and the rest flows on', async () => {
    const { topic, send, run, rejected, caused } = begin()
    const [good, early, twice] = [randomUUID(), randomUUID(), randomUUID()]
    const externalKey = randomUUID()
    const binary = Buffer.from([0x7b, 0xff, 0x00])
    const status = (to: string) => JSON.stringify({ externalKey, status: to })
    await send(
      { key: 'k', value: status('resolved'), headers: event(early) },
      { key: 'k', value: binary, headers: { trace: 'x', ce: Buffer.from([0xff]), many: ['a', 'b'] } },
      { key: 'k', value: null },
      { key: 'k', value: JSON.stringify(body({ externalKey })), headers: event(twice) },
      { key: 'k', value: JSON.stringify(body({ externalKey, title: 'other' })), headers: event(twice) },
      { key: 'k', value: status('closed') },
      { key: 'k', value: JSON.stringify(body({ description: 'a\u0000b' })) },
      { key: 'k', value: 'x'.repeat(900_000), headers: { 'content-type': 'text/plain' } },
      { key: 'k', value: JSON.stringify(body()), headers: event(good) },
    )
    await using intake = run()
    await intake.is('is through', ({ taken, rejected: count }) => taken === 2 && count === 7)

    const records = await rejected(7)
    const reasons = records.map((record) => [
      headerOf(record, 'rejected-offset'),
      headerOf(record, 'rejected-reason'),
    ])
    expect(reasons).toEqual([
      ['0', 'incident-not-found'],
      ['1', 'not-json'],
      ['2', 'no-value'],
      ['4', 'idempotency-key-reused'],
      ['5', 'illegal-transition'],
      ['6', 'invalid-report'],
      ['7', 'too-large'],
    ])
    const partition = headerOf(records[0] ?? fail(), 'rejected-partition')
    for (const record of records) {
      expect(record.key?.toString()).toBe('k')
      expect(headerOf(record, 'rejected-topic')).toBe(topic)
      expect(headerOf(record, 'rejected-partition')).toBe(partition)
      expect(headerOf(record, 'rejected-detail')).toMatch(/^[A-Z].*\.$/)
    }
    const [, poison, tombstone, , illegal, , large] = records
    expect(poison?.value).toEqual(binary)
    expect(poison?.headers).toMatchObject({
      trace: Buffer.from('x'),
      ce: Buffer.from([0xff]),
      many: [Buffer.from('a'), Buffer.from('b')],
    })
    expect(tombstone?.value).toBeNull()
    expect(illegal && headerOf(illegal, 'rejected-detail')).toBe(
      'The incident is new and cannot become closed; it can become in_progress, on_hold, resolved.',
    )
    expect(large?.value?.length).toBe(900_000)
    expect(await caused(good)).toHaveLength(1)
  })

  test('takes a report once, however often its sender sends it', async () => {
    const { send, run, caused } = begin()
    const id = randomUUID()
    const message = { key: 'k', value: JSON.stringify(body()), headers: event(id) }
    await send(message, message, { ...message, key: 'another' }, message)
    await using intake = run()
    await intake.is('has taken all', ({ taken }) => taken === 4)
    expect(await caused(id)).toHaveLength(1)
  })

  test('keeps the order of each key, with many keys at once', async () => {
    const { send, run } = begin()
    const steps = ['in_progress', 'on_hold', 'in_progress', 'resolved', 'closed'] as const
    const keys = Array.from({ length: 20 }, () => randomUUID())
    const reports = keys.map((key) => ({ key, value: JSON.stringify(body({ externalKey: key })) }))
    const changes = steps.flatMap((status) =>
      keys.map((key) => ({ key, value: JSON.stringify({ externalKey: key, status }) })),
    )
    await send(...reports, ...changes)
    await using intake = run()
    await intake.is(
      'is through',
      ({ taken, rejected }) => taken + rejected === reports.length + changes.length,
    )
    expect(intake.health()).toMatchObject({ rejected: 0 })
    await intake.is('has nothing left', ({ lag }) => lag === 0)
  })

  test('keeps the order of records without a key that name one incident', async () => {
    const { send, run } = begin()
    const externalKey = randomUUID()
    await send(
      { partition: 1, value: JSON.stringify(body({ externalKey })) },
      { partition: 1, value: JSON.stringify({ externalKey, status: 'resolved' }) },
      { partition: 1, value: JSON.stringify({ externalKey, status: 'closed' }) },
    )
    await using intake = run()
    await intake.is('has taken all', ({ taken }) => taken === 3)
  })

  test('goes on where it stopped', async () => {
    const { send, run, caused } = begin()
    const [first, second] = [randomUUID(), randomUUID()]
    await send({ value: JSON.stringify(body()), headers: event(first) })
    {
      await using intake = run()
      await intake.is('has taken it', ({ taken }) => taken === 1)
    }
    await send({ value: JSON.stringify(body()), headers: event(second) })
    await using intake = run()
    await intake.is('has taken the other', ({ taken }) => taken === 1)
    expect(await caused(second)).toHaveLength(1)
    await intake.is('has nothing left', ({ lag }) => lag === 0)
    expect(intake.health()).toMatchObject({ taken: 1 })
  })
})

function fail(): never {
  throw new Error('there is nothing')
}
