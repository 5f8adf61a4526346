import { validate } from '@readme/openapi-parser'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import * as answers from '../../src/http/answers.ts'
import { call, reported, type Service, startService } from './support/service.ts'

interface Operation {
  readonly summary?: string
  readonly description?: string
  readonly security: readonly unknown[]
  readonly 'x-scope': string
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: { $ref?: string } }>>
  }
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, { readonly examples?: readonly unknown[] }>>
  }
}

async function documentOf(service: Service): Promise<Document> {
  const answer = await service.app.inject({ url: '/openapi.json', headers: { host: 'localhost' } })
  expect(answer.statusCode).toBe(200)
  return answer.json()
}

const operationsOf = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )

test('two independent validators find the document valid', async () => {
  const document = await documentOf(startService())
  const result = await new Validator().validate({ ...structuredClone(document) })
  expect(result.errors).toBeUndefined()
  expect(result.valid).toBe(true)
  const parsed = await validate(structuredClone(document) as never) // the validator's to say whether it is one
  expect(parsed.valid, JSON.stringify(parsed)).toBe(true)
})

test('every operation says what it is, which scope it asks for, and that its errors are problems', async () => {
  for (const { method, path, operation } of operationsOf(await documentOf(startService()))) {
    const where = `${method} ${path}`
    expect(operation.summary, where).toBeTruthy()
    expect(operation.description, where).toBeTruthy()
    expect(['read', 'write', 'audit', 'admin', 'public'], where).toContain(operation['x-scope'])
    expect(operation.security.length > 0, where).toBe(operation['x-scope'] !== 'public')
    const bad = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400)
    for (const [status, { content }] of bad) {
      if (path.startsWith('/health') && status === '503') continue
      expect(Object.keys(content ?? {}), `${where} ${status}`).toEqual(['application/problem+json'])
    }
  }
})

test('every route is in the document, and every operation of the document is a route', async () => {
  const mounted: string[] = []
  const service = startService()
  service.app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.operation) mounted.push(...[method].flat().map((one) => `${one} ${url}`))
  })
  await service.app.ready()
  const described = operationsOf(await documentOf(service)).map(
    ({ method, path }) => `${method} ${path.replaceAll('{*}', '*').replaceAll(/\{(\w+)\}/g, ':$1')}`,
  )
  expect(described.toSorted()).toEqual(mounted.filter((route) => !route.startsWith('HEAD ')).toSorted())
})

test('no schema of the document is without use, and none is missing', async () => {
  const document = await documentOf(startService())
  const used = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(
    ([, name]) => name,
  )
  expect(Object.keys(document.components.schemas).toSorted()).toEqual([...new Set(used)].toSorted())
})

test('every example of a request body is taken by its route', async () => {
  const document = await documentOf(startService())
  const bodies = operationsOf(document).flatMap(({ method, path, operation: { requestBody } }) =>
    Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => {
      const name = schema.$ref?.split('/').at(-1) ?? ''
      return { method, path, type, example: document.components.schemas[name]?.examples?.[0] }
    }),
  )
  expect(bodies.length).toBeGreaterThan(3)
  for (const { method, path, type, example } of bodies) {
    expect(example, `${method} ${path}`).toBeDefined()
    const service = startService()
    const url = path.replace(
      '{id}',
      path.startsWith('/access-keys') ? await issued(service) : await reported(service),
    )
    const headers = { 'content-type': type }
    const answer = await call(service, method as 'POST' | 'PATCH' | 'DELETE', url, example, headers)
    expect([200, 201], `${method} ${path}: ${answer.body}`).toContain(answer.statusCode)
  }
})

async function issued(service: Service): Promise<string> {
  const { id } = (
    await call(service, 'POST', '/access-keys', { name: 'pager', scopes: ['read', 'write'] })
  ).json()
  return id
}

test('every example of an answer has the shape that the document gives it', () => {
  for (const schema of Object.values(answers)) {
    const examples = [schema.meta()?.examples ?? []].flat()
    for (const example of examples) {
      expect(schema.safeParse(example).error, schema.meta()?.id).toBeUndefined()
    }
  }
})
