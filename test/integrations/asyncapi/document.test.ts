import { Parser } from '@asyncapi/parser'
import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  evolve,
  type IncidentState,
  incidentEventTypes,
  isReported,
  unreported,
} from '../../../src/aggregates/incident/index.ts'
import { eventAnswer, incidentAnswer } from '../../../src/http/answers.ts'
import { asyncApiDocument } from '../../../src/integrations/asyncapi/index.ts'
import { eventMessage, stateMessage } from '../../../src/integrations/kafka/messages.ts'
import { positionMessage } from '../../../src/integrations/kafka/position.ts'
import { topicDefinitions } from '../../../src/integrations/kafka/topics.ts'
import { reportMessage } from '../../../src/integrations/telegram/hand-over.ts'
import type { IncidentRecord } from '../../../src/ledger/event.ts'
import { call, startService } from '../../http/support/service.ts'
import { newIncidentId, report, writer } from '../../projections/history.ts'
import { identity, keyring } from '../telegram/talk.ts'

interface Example {
  readonly headers?: object
  readonly payload: unknown
}

interface Described {
  readonly channels: Readonly<Record<string, { readonly address: string; readonly messages: object }>>
  readonly components: {
    readonly messages: Readonly<
      Record<
        string,
        { readonly examples: readonly Example[]; readonly headers?: object; readonly payload: object }
      >
    >
  }
}

function describe(topicPrefix = ''): Described {
  const shown = { event: eventAnswer, incident: incidentAnswer }
  const document = asyncApiDocument({ version: '0.1.0', topicPrefix, shown })
  return JSON.parse(JSON.stringify(document)) // as it is served
}

/** What the AsyncAPI initiative's own parser finds wrong with the document. It does not look into examples. */
async function findings(document: Described): Promise<string[]> {
  const { diagnostics } = await new Parser().parse(JSON.stringify(document))
  return diagnostics.map(({ code, path, message }) => `${code} ${path.join('.')}: ${message}`)
}

/** What is wrong with a message, by the schemas of the document. */
function faults({ components }: Described, name: string, { headers, payload }: Example): string[] {
  const described = components.messages[name]
  if (!described) throw new Error(`there is no message ${name}`)
  const parts = [[described.headers, headers] as const, [described.payload, payload] as const].filter(
    ([schema]) => schema !== undefined,
  )
  return parts.flatMap(([schema, value]) => {
    const { error } = z.fromJSONSchema(schema as never).safeParse(value) // its JSON is checked by the parser
    return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []
  })
}

test('the parser of AsyncAPI finds nothing wrong, and every message has an example', async () => {
  const document = describe()
  expect(await findings(document)).toEqual([])
  for (const [name, { examples }] of Object.entries(document.components.messages)) {
    expect(examples.length, name).toBeGreaterThan(0)
    for (const example of examples) expect(faults(document, name, example), name).toEqual([])
  }
})

test('all five topics are there, under the names that they have', () => {
  const addresses = Object.values(describe('night.').channels).map(({ address }) => address)
  expect(addresses).toEqual(Object.values(topicDefinitions).map(({ name }) => `night.${name}`))
})

test('what the service publishes and sends has the described shapes', () => {
  const document = describe()
  const records = everyKindOfRecord()
  expect(new Set(records.map(({ event }) => event.type)).size).toBe(incidentEventTypes.length)
  for (const record of records) {
    const message = exampleOf(eventMessage(record, 7))
    expect(faults(document, record.event.type, message), record.event.type).toEqual([])
  }
  const incident = records.reduce<IncidentState>(
    (state, { incidentId, event }) => evolve(incidentId, state, event),
    unreported,
  )
  if (!isReported(incident)) throw new Error('nothing was reported')
  expect(faults(document, 'IncidentState', exampleOf(stateMessage(incident, 7)))).toEqual([])
  const position = { index: 7, position: { commit: 1n, prepare: 1n }, eventId: newIncidentId() }
  const partitions = { events: 6, state: 3 }
  for (const at of [
    { ...position, partitions },
    { index: -1, partitions },
  ]) {
    expect(faults(document, 'PublisherPosition', exampleOf(positionMessage(at)))).toEqual([])
  }
  const sent = reportMessage(
    {
      id: identity.reportId({ chat: -1, message: 2 }),
      body: { description: 'Disk full', source: 'operator', severity: 'low', assignee: null, labels: {} },
      provenance: { actor: identity.actor(undefined), origin: identity.origin, originRef: '-1/2' },
    },
    keyring,
  )
  expect(faults(document, 'IncidentReport', exampleOf(sent))).toEqual([])
})

test.each([
  ['IncidentReported', { payload: { data: { severity: 'dire' } } }, 'data.severity'],
  ['IncidentNoteAdded', { headers: { ce_type: 'IncidentReported' } }, 'ce_type'],
  ['IncidentState', { payload: { index: 'seven' } }, 'index'],
  ['PublisherPosition', { payload: { last: { commit: 7 } } }, 'last'],
  ['IncidentReport', { payload: { severity: 'dire' } }, 'severity'],
  ['IncidentReport', { payload: { reportedBy: 'me' } }, ''],
  ['StatusReport', { payload: { externalKey: '' } }, 'externalKey'],
  ['StatusReport', { headers: { ce_specversion: '0.3' } }, 'ce_specversion'],
  ['RejectedReport', { headers: { 'rejected-offset': 7 } }, 'rejected-offset'],
])('a %s with %o has not the described shape', (name, spoilt, path) => {
  const document = describe()
  const [example] = document.components.messages[name]?.examples ?? []
  const wrong = faults(document, name, merged(example, spoilt) as Example) // an example, but for what is spoilt
  expect(wrong).toHaveLength(1)
  expect(wrong[0]).toMatch(new RegExp(`^${path}`))
})

test('it is served to everybody, without an access key', async () => {
  const document = describe()
  const { app } = startService({ asyncApi: document })
  const answer = await app.inject({ url: '/asyncapi.json', headers: { host: 'localhost' } })
  expect(answer.statusCode).toBe(200)
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
  expect(answer.json()).toEqual(document)
  expect((await call({ app }, 'GET', '/asyncapi.json/')).statusCode).toBe(200)
})

function exampleOf({ headers, value }: { readonly headers?: object; readonly value: unknown }): Example {
  return { ...(headers && { headers: { ...headers } }), payload: JSON.parse(String(value)) }
}

function merged(into: unknown, more: unknown): unknown {
  if (typeof into !== 'object' || into === null || typeof more !== 'object' || more === null) return more
  const own = Object.fromEntries(Object.entries(into))
  return {
    ...own,
    ...Object.fromEntries(Object.entries(more).map(([key, value]) => [key, merged(own[key], value)])),
  }
}

/** The whole life of an incident, with every field that can be there. */
function everyKindOfRecord(): IncidentRecord[] {
  const { write } = writer()
  const id = newIncidentId()
  return [
    ...write(id, report({ externalKey: 'disk-7', labels: { host: 'db-7' }, assignee: 'ada' })),
    ...write(id, { type: 'ChangeStatus', body: { status: 'in_progress', reason: 'On it' } }),
    ...write(id, {
      type: 'Revise',
      body: { severity: 'low', assignee: null, title: 'Disk', labels: { a: 'b' } },
    }),
    ...write(id, { type: 'AddNote', noteId: '01932f60-1b7e-7c44-8d0a-5e6f7a8b9c0d', text: 'Moved' }),
    ...write(id, { type: 'ChangeStatus', body: { status: 'resolved' } }),
    ...write(id, { type: 'ErasePersonalData', body: { reason: 'request 2026-17' } }),
  ].flatMap((record) =>
    record.kind === 'incident' ? [{ ...record, position: { commit: 1n, prepare: 1n } }] : [],
  )
}
