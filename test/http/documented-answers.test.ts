/** Every route is asked well, and badly in many ways: each answer has a status and a form that the document gives its route. */
import { expect, test } from 'vitest'
import { z } from 'zod'
import { LedgerError } from '../../src/ledger/errors.ts'
import { ReadModelError } from '../../src/projections/read-model.ts'
import { aReport, call, healthy, keys, reported, type Service, startService } from './support/service.ts'

type Method = Parameters<typeof call>[1]
interface Operation {
  readonly requestBody?: unknown
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: object }
}

const refusedEverywhere = ['401', '403', '421']
const refusedBodies = ['400', '413', '415', '422']
const bodies: Readonly<Record<string, unknown>> = {
  'POST /incidents': aReport,
  'PATCH /incidents/{id}/status': { status: 'in_progress' },
  'PATCH /incidents/{id}': { severity: 'low' },
  'POST /incidents/{id}/notes': { text: 'a remark' },
  'DELETE /incidents/{id}/personal-data': { reason: 'request 2026-17' },
  'POST /access-keys': { name: 'pager', scopes: ['read'] },
  'PATCH /access-keys/{id}': { name: 'a pager' },
}
const queries: Readonly<Record<string, string>> = {
  'GET /incidents/{id}/diff': '?from=0',
  'GET /ledger/consistency': '?from=0&to=1',
  // A stream that opens does not end: its own tests read it.
  'GET /events/stream': '?type=none',
}
const unknownId = '01980d5e-5c00-7000-8000-5f0e1c2d3a4b'

test('every answer that can be provoked is the one that the document describes', async () => {
  const service = startService()
  const document: Document = (await call(service, 'GET', '/openapi.json')).json()
  const unprovoked: string[] = []
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [name, operation] of Object.entries(methods)) {
      const method = name.toUpperCase() as Method // the document's keys are methods
      const seen = new Set<string>()
      for (const answer of await provoke(service, method, path, operation)) {
        const status = String(answer.statusCode)
        const where = `${method} ${path}: ${status} ${answer.body.slice(0, 500)}`
        expect(Object.keys(operation.responses), where).toContain(status)
        expectForm(answer, operation, document, where)
        seen.add(status)
      }
      // A stream that opens does not end: its own tests read it.
      const isGood = path === '/events/stream' || [...seen].some((status) => Number(status) < 400)
      const refused = operation.requestBody ? [...refusedEverywhere, ...refusedBodies] : refusedEverywhere
      const missing = refused.filter((status) => status in operation.responses && !seen.has(status))
      unprovoked.push(
        ...(isGood ? missing : ['success', ...missing]).map((status) => `${method} ${path} ${status}`),
      )
    }
  }
  expect(unprovoked).toEqual([])
}, 300_000)

type Answer = Awaited<ReturnType<typeof call>>

function expectForm(answer: Answer, { responses }: Operation, document: Document, where: string): void {
  const { content } = responses[answer.statusCode] ?? {}
  if (content === undefined) {
    expect(answer.body, where).toBe('')
    return
  }
  const type = String(answer.headers['content-type']).split(';')[0] ?? ''
  expect(Object.keys(content), where).toContain(type)
  if (!type.endsWith('json')) return
  const text = JSON.stringify({ ...content[type]?.schema, $defs: document.components.schemas })
  const schema = z.fromJSONSchema(JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/')))
  expect(schema.safeParse(answer.json()).error, where).toBeUndefined()
}

async function provoke(
  service: Service,
  method: Method,
  path: string,
  operation: Operation,
): Promise<Answer[]> {
  const route = `${method} ${path}`
  const body = bodies[route]
  const isKeys = path.startsWith('/access-keys')
  const id = isKeys ? await issued(service) : await reported(service)
  const url = (own: string) =>
    `${path.replace('{id}', own).replace('{slug}', 'not-found').replace('{*}', '0/000.p/1')}${queries[route] ?? ''}`
  const ask = (headers: Record<string, string> = {}, payload = body, own = id) =>
    call(service, method, url(own), payload, headers)
  const answers: Answer[] = []
  const { failing } = service.ledger
  const failures = [
    new ReadModelError('query-timeout'),
    new LedgerError({ code: 'event-store-unavailable', reason: 'gone' }),
    new Error('a fault of ours'),
  ]
  for (const failure of failures) {
    Object.assign(failing, { commands: failure, history: failure, queries: failure })
    answers.push(await ask())
    Object.assign(failing, { commands: undefined, history: undefined, queries: undefined })
  }
  answers.push(
    await ask({ host: 'evil.example' }),
    await ask({ origin: 'https://evil.example' }),
    await ask({ 'x-access-key': 'a-wrong-key', accept: 'application/json' }, body, unknownId),
    await ask({ 'x-access-key': keys.reader }, body, unknownId),
    await ask({ 'x-access-key': keys.writer }, body, unknownId),
    await ask({}, body, unknownId),
    await ask({}, body, 'no-id'),
    await ask({ 'if-match': '"99"', 'last-event-id': 'x' }),
  )
  if (operation.requestBody) {
    answers.push(
      await ask({}, '{'),
      await ask({}, { unknown: true }),
      await ask({ 'content-type': 'text/plain' }),
      await ask({}, { text: 'x'.repeat(2_000_000) }),
    )
  }
  if (path !== '/events/stream') {
    answers.push(await ask({ 'if-none-match': '"0"' }), await ask())
  }
  service.setHealth({
    ...healthy,
    eventStore: { ok: false },
    readModel: { ...healthy.readModel, postgres: { ok: false } },
  })
  if (path.startsWith('/health')) answers.push(await ask())
  service.setHealth(healthy)
  return answers
}

async function issued(service: Service): Promise<string> {
  return (await call(service, 'POST', '/access-keys', { name: 'pager', scopes: ['read'] })).json().id
}
