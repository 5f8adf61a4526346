/**
 * Requests made up from the OpenAPI document, well-formed and not: whatever comes, the answer is one that the document foresees, no error of
 * ours, and tells nothing. `FUZZ_REQUESTS=5000` asks that often of each route.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { call, keys, reported, type Service, startService } from './support/service.ts'

const requestsPerRoute = Number(process.env.FUZZ_REQUESTS ?? 150)

interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly format?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
}
interface Parameter {
  readonly in: string
  readonly name: string
  readonly schema: Schema
}
interface Described {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<Record<string, unknown>>
}

interface Fuzzed {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

test('every route answers whatever comes as the document says, and tells nothing', async () => {
  const limits = { refusalsPerMinute: 1_000_000_000, overloadDelayMs: 0, visibilityMs: 0 }
  const service = startService({ limits })
  const document: Fuzzed = (await call(service, 'GET', '/openapi.json')).json()
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({ method, path, described })),
  )
  // A stream does not end; its own tests read it.
  const asked = routes.filter(({ method, path }) => !(method === 'get' && path === '/events/stream'))
  expect(asked.length).toBeGreaterThan(20)
  for (const { method, path, described } of asked) {
    const id = await reported(service)
    await fc.assert(
      fc.asyncProperty(requestOf(path, described, document, id), ({ url, headers, body }) =>
        answersWell(service, { method: method.toUpperCase(), url, headers, body }, described),
      ),
      { numRuns: requestsPerRoute },
    )
  }
}, 1_200_000)

async function answersWell(
  service: Service,
  request: { method: string; url: string; headers: Record<string, string>; body: string | undefined },
  { responses }: Described,
): Promise<void> {
  service.lines.length = 0
  const answer = await service.app.inject({
    method: request.method as 'GET',
    url: request.url,
    headers: { host: 'localhost', 'x-access-key': keys.all, ...request.headers },
    ...(request.body !== undefined && { payload: request.body }),
  })
  const said = `${request.method} ${request.url}: ${answer.statusCode} ${answer.body}`
  expect(answer.statusCode, said).toBeLessThan(500)
  expect(Object.keys(responses).map(Number), said).toContain(answer.statusCode)
  if (answer.statusCode >= 400) {
    expect(answer.headers['content-type'], said).toMatch(/^application\/problem\+json/)
    expect(answer.json()).toMatchObject({ status: answer.statusCode })
  }
  expect(said).not.toMatch(/\n\s+at |node_modules|\.ts:\d/)
  const log = JSON.stringify(service.lines)
  expect(log, said).not.toContain('"level":50')
  for (const secret of [keys.all, marker]) expect(log, said).not.toContain(secret)
  expect(answer.body).not.toContain(keys.all)
}

/** Stands in texts that are made up: no log line may have it. */
const marker = 'fuzz-marker'
const hostile = fc.constantFrom(
  '',
  ' ',
  '\u0000',
  '\ud800',
  '__proto__',
  "'; DROP TABLE incident; --",
  '<script>',
  '../../etc/passwd',
  '%00',
  '{{7*7}}',
  'a'.repeat(20_000),
  '-1',
  '1e309',
  'NaN',
  '9'.repeat(40),
  '2026-02-30T00:00:00Z',
  '0001-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999+14:00',
  marker,
)
const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  hostile,
  fc.constantFrom(
    { ['__proto__']: 1 },
    { constructor: { prototype: {} } },
    Array.from({ length: 2_000 }, () => 1),
  ),
)

function requestOf(path: string, { parameters = [], requestBody }: Described, document: Fuzzed, id: string) {
  const query = fc.record(
    Object.fromEntries(
      parameters
        .filter((one) => one.in === 'query')
        .map(({ name, schema }) => [name, queryValue(schema, document)]),
    ),
    { requiredKeys: [] },
  )
  const headers = fc.record(
    {
      'idempotency-key': fc.constantFrom('once', '"quoted"', '', 'a'.repeat(300), '"'),
      'if-match': fc.constantFrom('"0"', '*', 'W/"1"', 'none', '"99999999999"'),
      'if-none-match': fc.constantFrom('"0"', '*', '"'),
      'ledger-position': fc.constantFrom('1-1', 'x', '', '-'),
      'last-event-id': fc.constantFrom('-1', 'x'),
      traceparent: fc.constantFrom('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'ff'),
      'x-request-id': fc.constantFrom('mine', '\u00ff', 'a'.repeat(500)),
      accept: fc.constantFrom('text/html', '*/*', 'image/png'),
      'x-access-key': fc.constantFrom(keys.reader, keys.writer, 'a-wrong-key'),
      'content-type': fc.constantFrom(
        'application/json',
        'application/merge-patch+json',
        'text/plain',
        'application/json; charset=latin1',
        '',
      ),
      signature: fc.constantFrom('sig=:AAAA:', 'x'),
      'signature-input': fc.constantFrom(
        'sig=("@method");created=1;keyid="k";nonce="0123456789abcdef"',
        '((',
      ),
    },
    { requiredKeys: [] },
  )
  const schemas = Object.values(requestBody?.content ?? {}).map(({ schema }) => madeUp(schema, document))
  const [bodies = anything] = schemas
  const body = fc.oneof(
    { weight: 4, arbitrary: fc.oneof(bodies, anything).map((value) => JSON.stringify(value)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('', '{', '[1,', '{"a":1,"a":2}', '\u0000', '"text"', 'null', '[[[[[[[['),
    },
  )
  const part = fc.oneof(
    { weight: 3, arbitrary: fc.constant(id) },
    { weight: 1, arbitrary: hostile.filter((text) => text !== '') },
  )
  return fc
    .record({ part, query, headers, body: requestBody ? body : fc.constant(undefined) })
    .map(({ part: given, query: asked, headers: sent, body: payload }) => ({
      url: `${path.replaceAll(/\{\w+\}/g, encoded(given))}${queryString(asked)}`,
      headers: { ...(payload !== undefined && { 'content-type': 'application/json' }), ...sent },
      body: payload,
    }))
}

function queryValue(schema: Schema, document: Fuzzed): fc.Arbitrary<string | readonly string[]> {
  const text = madeUp(schema, document).map((value) =>
    typeof value === 'string' ? value : (JSON.stringify(value) ?? ''),
  )
  return fc.oneof(
    { weight: 4, arbitrary: text },
    { weight: 1, arbitrary: fc.array(fc.oneof(text, hostile), { maxLength: 3 }) },
  )
}

/** Values that mostly fit the schema. */
function madeUp(schema: Schema | undefined, document: Fuzzed): fc.Arbitrary<unknown> {
  if (schema === undefined) return anything
  return fc.oneof({ weight: 9, arbitrary: fitting(schema, document) }, { weight: 1, arbitrary: anything })
}

function fitting(schema: Schema, document: Fuzzed): fc.Arbitrary<unknown> {
  if (schema.$ref)
    return fitting(document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {}, document)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.const !== undefined) return fc.constant(schema.const)
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (choices) return fc.oneof(...choices.map((choice) => fitting(choice, document)))
  switch ([schema.type].flat()[0]) {
    case 'string':
      if (schema.format === 'date-time')
        return fc.constantFrom('2026-01-31T09:00:00Z', '2016-03-01T00:00:00.000+02:00')
      if (schema.format === 'uuid') return fc.uuid()
      return fc.oneof(
        fc.string({ minLength: 1, maxLength: 60 }),
        fc.string({ unit: 'grapheme' }),
        fc.constant(marker),
      )
    case 'integer':
    case 'number':
      return fc.integer({ min: -1, max: 300 })
    case 'boolean':
      return fc.boolean()
    case 'array':
      return fc.array(madeUp(schema.items, document), { maxLength: 4 })
    case 'object': {
      const { additionalProperties } = schema
      if (schema.properties) {
        const fields = Object.entries(schema.properties).map(([name, field]) => [
          name,
          madeUp(field, document),
        ])
        return fc.record(Object.fromEntries(fields), { requiredKeys: [] })
      }
      return fc.dictionary(
        fc.string({ maxLength: 70 }),
        madeUp(typeof additionalProperties === 'object' ? additionalProperties : undefined, document),
      )
    }
    default:
      return anything
  }
}

function queryString(query: Readonly<Record<string, string | readonly string[] | undefined>>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value ?? []].flat().map((one) => `${name}=${encoded(one).slice(0, 4_000)}`),
  )
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).slice(0, 8_000).replace(/%.?$/, '')
}
