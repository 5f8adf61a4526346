import { z } from 'zod'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'

/** GET /openapi.json, GET /asyncapi.json, and the way from / to the docs. */
export function serviceDocuments(app: App, asyncApiDocument: object): void {
  const common = { access: 'public', tag: 'Service' } as const
  const openapi = operation(
    {
      ...common,
      summary: 'This API as an OpenAPI 3.1 document',
      description: 'The document that /docs shows.',
      answers: { 200: { description: 'The document.', schema: z.record(z.string(), z.unknown()) } },
    },
    {},
  )
  let document: string | undefined
  app.get('/openapi.json', openapi, (_request, reply) => {
    document ??= JSON.stringify(app.swagger())
    return reply.type('application/json; charset=utf-8').send(document)
  })

  const asyncapi = operation(
    {
      ...common,
      summary: 'What comes and goes by Kafka, as an AsyncAPI 3.1 document',
      description: 'Topics, keys, headers and values, with examples.',
      answers: { 200: { description: 'The document.', schema: z.record(z.string(), z.unknown()) } },
    },
    {},
  )
  const asyncApiText = JSON.stringify(asyncApiDocument)
  app.get('/asyncapi.json', asyncapi, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(asyncApiText),
  )

  const root = operation(
    {
      ...common,
      summary: 'The way to the docs',
      description: 'Redirects to /docs.',
      answers: { 302: { description: 'To /docs.', headers: ['Location'] } },
    },
    {},
  )
  app.get('/', root, (_request, reply) => reply.redirect('/docs'))
}
