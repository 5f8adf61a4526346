import { randomUUID } from 'node:crypto'
import { Kafka as CloudEventsInKafka } from 'cloudevents'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { incidentJson } from '../../../src/projections/incident-rows.ts'
import { keyIssued, newIncidentId, report, writer } from '../../projections/history.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { startTestKafka, type TestKafka } from '../../support/kafka.ts'
import { isMissing } from '../../support/services.ts'
import { knownLedger } from './known-ledger.ts'
import { runPublisher } from './running-publisher.ts'
import { receivedFrom } from './subscriber.ts'

describe.skipIf(isMissing('Kafka') || isMissing('Postgres'))('The publisher', () => {
  let kafka: TestKafka
  let database: TestDatabase

  beforeAll(async () => {
    ;[kafka, database] = await Promise.all([startTestKafka(), createTestDatabase()])
  })
  afterAll(async () => {
    await database.drop()
    await kafka.close()
  })

  /** A topic prefix of the test's own, and a publisher of a ledger to it. */
  function begin(ledger = knownLedger()) {
    const topicPrefix = `${kafka.topicPrefix}${randomUUID()}.`
    const { brokers } = kafka
    return {
      ledger,
      run: () => runPublisher({ brokers, topicPrefix, databaseUrl: database.url, ledger }),
      received: (topic: string, count: number) => receivedFrom(brokers, `${topicPrefix}${topic}`, count),
    }
  }

  test('supersedes the state of an erased incident, tells of the erasure, and sends the text to no later reader', async () => {
    const { ledger, run, received } = begin()
    const { write } = writer()
    const id = newIncidentId()
    ledger.append(...write(id, report({ title: 'Miller', description: 'Miller called' })))
    await using publisher = run()
    await publisher.published(0)
    ledger.append(...write(id, { type: 'ErasePersonalData', body: { reason: 'request 17' } }))
    await publisher.published(1)

    const states = await received('incidents.state', 2)
    expect(states.at(-1)).toMatchObject({
      key: id,
      value: {
        title: null,
        description: null,
        revision: 1,
        erased: ['title', 'description', 'assignee', 'labels'],
      },
    })
    const [, erasure] = await received('incidents.events', 2)
    expect(erasure).toMatchObject({
      headers: { ce_type: 'IncidentPersonalDataErased', ce_sequence: '1' },
      value: { data: { reason: 'request 17' } },
    })
  })

  test('gives each event as a CloudEvent in binary mode: key, id, sequence and index in the ledger', async () => {
    const { ledger, run, received } = begin()
    const { write } = writer()
    const id = newIncidentId()
    ledger.append(...write(id, report({ title: 'Disk full' })), keyIssued())
    ledger.append(...write(id, { type: 'ChangeStatus', body: { status: 'resolved', reason: 'cleaned up' } }))
    await using publisher = run()
    await publisher.published(2)

    const events = await received('incidents.events', 2)
    expect(events.map(({ key, headers }) => [key, headers.ce_sequence, headers.ce_ledgerindex])).toEqual([
      [id, '0', '0'],
      [id, '1', '2'],
    ])
    const [, second] = events
    const record = ledger.records[2]
    expect(second?.headers).toEqual({
      'content-type': 'application/json',
      ce_specversion: '1.0',
      ce_id: record?.id,
      ce_source: '/incidents',
      ce_type: 'IncidentStatusChanged',
      ce_subject: id,
      ce_time: second?.value.at,
      ce_sequence: '1',
      ce_ledgerindex: '2',
    })
    expect(second?.value).toMatchObject({
      index: 2,
      id: record?.id,
      incidentId: id,
      revision: 1,
      type: 'IncidentStatusChanged',
      actor: { kind: 'access-key' },
      data: { from: 'new', to: 'resolved', reason: 'cleaned up' },
    })
    const message = {
      headers: { ...second?.headers },
      key: id,
      value: JSON.stringify(second?.value),
      body: '',
    }
    const read = CloudEventsInKafka.toEvent(message)
    expect(read).toMatchObject({ id: record?.id, type: 'IncidentStatusChanged', data: second?.value })
  })

  test('hands the trace on in which an event came to be', async () => {
    const { ledger, run, received } = begin()
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const [reported] = writer().write(newIncidentId(), report())
    if (reported?.kind !== 'incident') throw new Error('a report is an event of an incident')
    ledger.append({ ...reported, metadata: { ...reported.metadata, traceparent } })
    await using publisher = run()
    await publisher.published(0)
    const [{ headers } = { headers: {} }] = await received('incidents.events', 1)
    expect(headers).toMatchObject({ traceparent, ce_traceparent: traceparent })
  })

  test('keeps the latest state of each incident, with revision and index', async () => {
    const { ledger, run, received } = begin()
    const { write, incident } = writer()
    const [one, two] = [newIncidentId(), newIncidentId()]
    ledger.append(...write(one, report()), ...write(two, report()))
    await using publisher = run()
    await publisher.published(1)
    ledger.append(...write(one, { type: 'ChangeStatus', body: { status: 'on_hold' } }))
    await publisher.published(2)

    const latest = new Map((await received('incidents.state', 3)).map(({ key, value }) => [key, value]))
    expect(latest.get(one)).toEqual({ ...JSON.parse(incidentJson(incident(one))), index: 2 })
    expect(latest.get(two)).toEqual({ ...JSON.parse(incidentJson(incident(two))), index: 1 })
  })

  test('goes on where the one before it stopped, with the states as they are', async () => {
    const { ledger, run, received } = begin()
    const { write, incident } = writer()
    const id = newIncidentId()
    ledger.append(...write(id, report()))
    {
      await using publisher = run()
      await publisher.published(0)
    }
    ledger.append(...write(id, { type: 'ChangeStatus', body: { status: 'in_progress' } }))
    await using publisher = run()
    await publisher.published(1)
    expect((await received('incidents.events', 2)).map(({ headers }) => headers.ce_sequence)).toEqual([
      '0',
      '1',
    ])
    const [, latest] = await received('incidents.state', 2)
    expect(latest?.value).toEqual({ ...JSON.parse(incidentJson(incident(id))), index: 1 })
  })
})
