import { CloudEvent, Kafka } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Rejection } from '../../../../src/integrations/kafka/intake/rejection.ts'
import { valueBytesAtMost } from '../../../../src/integrations/kafka/intake/schemas.ts'
import { vouchFor } from '../../../../src/integrations/provenance.ts'
import { keyring, read, record, rejectionOf } from './records.ts'

const body = { description: 'The disk is full', source: 'monitoring', externalKey: 'disk-7' }
const json = JSON.stringify(body)
const event = {
  ce_specversion: '1.0',
  ce_id: 'e-1',
  ce_source: '/plant/7',
  ce_type: 'IncidentReport',
  'content-type': 'application/json',
}
const kafkaActor = { kind: 'kafka', id: 'incidents.reports', name: 'incidents.reports' }

describe('A record is read', () => {
  test('as plain JSON of what POST /incidents takes, known by its place', () => {
    const report = read(record(json))
    expect(report).toMatchObject({
      asks: { report: { ...body, severity: 'medium', assignee: null, labels: {} } },
      origin: 'kafka',
      context: {
        actor: kafkaActor,
        correlationId: 'incidents.reports/2/42',
        causationId: 'incidents.reports/2/42',
        idempotency: { scope: 'kafka-record:a-cluster', pinned: true },
      },
    })
    expect(report.originRef).toBeUndefined()
  })

  test('as a change of status by external key', () => {
    const change = { externalKey: 'disk-7', status: 'resolved', reason: 'cleaned up' }
    expect(read(record(JSON.stringify(change))).asks).toEqual({ change })
  })

  test('as a CloudEvent in binary mode, known by its source and id', () => {
    const { asks, context } = read(record(json, { ...event, ce_correlationid: 'why', ce_anything: 'else' }))
    expect(asks).toMatchObject({ report: body })
    expect(context).toMatchObject({
      actor: kafkaActor,
      correlationId: 'why',
      causationId: 'e-1',
      idempotency: { scope: 'kafka-event:/plant/7', key: 'e-1' },
    })
  })

  test('as a CloudEvent in structured mode, to the same report as in binary mode', () => {
    const { datacontenttype, ...attributes } = {
      ...{ specversion: '1.0', id: 'e-1', source: '/plant/7', type: 'IncidentReport' },
      datacontenttype: 'application/json',
    }
    const type = { 'content-type': 'application/cloudevents+json; charset=UTF-8' }
    const binary = read(record(json, event))
    for (const data of [
      { data: body },
      { data: body, datacontenttype },
      { data_base64: Buffer.from(json).toString('base64'), datacontenttype },
    ]) {
      expect(read(record(JSON.stringify({ ...attributes, ...data }), type))).toEqual(binary)
    }
  })

  test('in either mode as the CloudEvents SDK makes it', () => {
    const made = new CloudEvent({ id: 'e-1', source: '/plant/7', type: 'IncidentReport', data: body })
    const { headers, value } = Kafka.structured(made)
    expect(read(record(String(value), headers as Record<string, string>)).asks).toMatchObject({
      report: body,
    })
    const binary = Object.entries(Kafka.binary(made).headers).flatMap(([name, text]) =>
      text === undefined ? [] : [[name, String(text)] as const],
    )
    expect(read(record(json, Object.fromEntries(binary))).context.causationId).toBe('e-1')
  })

  test('whatever the case of its header names, and with any JSON content type or none', () => {
    for (const type of [
      'application/json',
      'APPLICATION/JSON;charset=utf-8',
      'application/acme.report+json',
    ]) {
      expect(read(record(json, { 'Content-Type': type })).asks).toMatchObject({ report: body })
    }
  })

  test('with the trace that it came to be in', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    expect(read(record(json, { traceparent })).context.traceparent).toBe(traceparent)
    expect(read(record(json, { ...event, ce_traceparent: traceparent })).context.traceparent).toBe(
      traceparent,
    )
    expect(read(record(json, { traceparent: 'nonsense' })).context).not.toHaveProperty('traceparent')
  })
})

describe('Who is behind a report', () => {
  const provenance = {
    actor: { kind: 'telegram', id: 'a-keyed-hash', name: 'Żaneta' },
    origin: 'telegram:1',
    originRef: '-100200/7',
  } as const
  const sent = { source: 'telegram:1', id: 'm-7', value: json }
  const headers = (ledgerprovenance: string) => ({
    ...event,
    ce_id: sent.id,
    ce_source: sent.source,
    ce_ledgerprovenance: ledgerprovenance,
  })

  test('is believed where an integration of this ledger vouched for it', () => {
    const report = read(record(json, headers(vouchFor(sent, provenance, keyring))))
    expect(report).toMatchObject({
      origin: 'telegram:1',
      originRef: '-100200/7',
      context: {
        actor: provenance.actor,
        causationId: 'm-7',
        idempotency: { scope: 'telegram:1', key: 'm-7' },
      },
    })
  })

  test('is believed for no other record', () => {
    const other = vouchFor({ ...sent, id: 'm-8' }, provenance, keyring)
    expect(rejectionOf(record(json, headers(other)))[0]).toBe('foreign-provenance')
  })

  test('cannot be said in the body', () => {
    for (const name of ['origin', 'originRef', 'actor', 'id', 'reportedAt']) {
      const [reason, sentence] = rejectionOf(record(JSON.stringify({ ...body, [name]: 'me' })))
      expect(reason).toBe('invalid-report')
      expect(sentence).toBe(`The report does not have the right form. ${name} is not known here.`)
    }
  })
})

describe('A record without an id of its own', () => {
  const place = { topic: 'incidents.reports', partition: 2, offset: '42', timestamp: '1760000000000' }
  const identity = (value: string, more = {}) =>
    read(record(value, {}, { ...place, ...more })).context.idempotency

  test('is the same at each delivery', () => {
    expect(identity(json)).toEqual(identity(json))
  })

  test('is another in another place, at another time or with other bytes', () => {
    const others = [
      identity(json, { topic: 'others.incidents.reports' }),
      identity(json, { partition: 3 }),
      identity(json, { offset: '43' }),
      identity(json, { timestamp: '1760000000001' }),
      identity(`${json} `),
    ]
    expect(new Set([identity(json), ...others].map((one) => one?.key)).size).toBe(6)
  })
})

describe('A record is not taken', () => {
  test.each<[string, string, Parameters<typeof record>]>([
    ['without a value', 'no-value', [null]],
    ['that is no JSON', 'not-json', ['{"description":']],
    ['that is empty', 'not-json', ['']],
    ['that is no UTF-8', 'not-json', [Buffer.from([0x22, 0xff, 0x22])]],
    ['that is no object', 'invalid-report', ['[1]']],
    ['that is JSON null', 'invalid-report', ['null']],
    ['that says too little', 'invalid-report', ['{"description":"The disk is full"}']],
    ['with NUL in a text', 'invalid-report', [json.replace('full', 'fu\\u0000ll')]],
    ['with half a character', 'invalid-report', [json.replace('full', '\\ud800')]],
    ['with a member named __proto__', 'invalid-report', [json.replace('{', '{"__proto__":1,')]],
    ['with an unknown status', 'invalid-report', ['{"externalKey":"a","status":"gone"}']],
    ['with a status and no key', 'invalid-report', ['{"status":"closed"}']],
    ['too large', 'too-large', [' '.repeat(valueBytesAtMost + 1)]],
    ['of another type', 'unsupported-content-type', [json, { 'content-type': 'text/plain' }]],
    ['in Avro', 'unsupported-content-type', [json, { 'content-type': 'application/cloudevents+avro' }]],
    [
      'of many events',
      'unsupported-content-type',
      [json, { 'content-type': 'application/cloudevents-batch+json' }],
    ],
    [
      'in Latin 1',
      'unsupported-content-type',
      [json, { 'content-type': 'application/json; charset=latin1' }],
    ],
    ['as a CloudEvent 0.3', 'invalid-cloudevent', [json, { ...event, ce_specversion: '0.3' }]],
    ['as a CloudEvent without id', 'invalid-cloudevent', [json, { ...event, ce_id: undefined }]],
    ['as a CloudEvent with two ids', 'invalid-cloudevent', [json, { ...event, ce_id: ['a', 'b'] }]],
    ['as a CloudEvent with NUL in its id', 'invalid-cloudevent', [json, { ...event, ce_id: 'a\u0000b' }]],
    ['as a CloudEvent without version', 'invalid-cloudevent', [json, { ce_id: 'a' }]],
    [
      'as a structured CloudEvent that is none',
      'invalid-cloudevent',
      [json, { 'content-type': 'application/cloudevents+json' }],
    ],
    [
      'as a structured CloudEvent of a picture',
      'unsupported-content-type',
      [
        '{"specversion":"1.0","id":"a","source":"b","type":"c","datacontenttype":"image/png","data_base64":""}',
        { 'content-type': 'application/cloudevents+json' },
      ],
    ],
  ])('%s', (_what, reason, [value, headers]) => {
    const [given, sentence] = rejectionOf(record(value, headers))
    expect(given).toBe(reason)
    expect(sentence).toMatch(/^[A-Z].*\.$/s)
  })

  test('and is told what is wrong by field', () => {
    const wrong = { title: ' ', description: 'd', source: 'me', labels: { 'a b': 'c' } }
    expect(rejectionOf(record(JSON.stringify(wrong)))[1]).toBe(
      'The report does not have the right form. title must not be blank. source must be one of "operator"|"monitoring"|"partner". labels.a b a label\'s key must be 1 to 63 characters of a-z A-Z 0-9 _ . -.',
    )
  })

  test('whatever it holds: it is either taken or rejected with a reason', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.json(), fc.string(), fc.uint8Array()),
        fc.dictionary(
          fc.constantFrom(
            'content-type',
            'ce_id',
            'ce_source',
            'ce_type',
            'ce_specversion',
            'ce_ledgerprovenance',
            'x',
          ),
          fc.oneof(fc.string(), fc.constantFrom('1.0', 'application/json', 'application/cloudevents+json')),
        ),
        (value, headers) => {
          try {
            read(record(typeof value === 'string' ? value : Buffer.from(value), headers))
          } catch (error) {
            expect(error).toBeInstanceOf(Rejection)
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})
