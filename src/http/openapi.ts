import helmet, { type FastifyHelmetOptions } from '@fastify/helmet'
import swagger, { type SwaggerTransform, type SwaggerTransformObject } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problemBody } from './answers.ts'
import {
  type AnswerHeader,
  answerHeaders,
  type Operation,
  problemsByStatus,
  type RequestHeader,
  type RequestParts,
  requestHeaders,
} from './operation.ts'
import { type ProblemSlug, problemMediaType, problems } from './problems.ts'

/** The one style that swagger-ui-bundle.js writes into the page itself, by its hash. A browser's console names another where it has changed. */
const styleOfSwaggerUi = "'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='"
/** Nothing but this service's own files: the page works offline, and an injected string runs nowhere. */
export const pagePolicy = `default-src 'none'; script-src 'self'; style-src 'self' ${styleOfSwaggerUi}; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** helmet's headers, for what a browser shows. The policy is ours; TLS is for whoever ends it to insist on. */
export const pageHeaders: FastifyHelmetOptions = {
  contentSecurityPolicy: false,
  strictTransportSecurity: false,
  frameguard: { action: 'deny' },
  referrerPolicy: { policy: 'no-referrer' },
}

/** zod leaves the examples of what it transforms out of the input's schema, although ours are input. */
const zodToJsonConfig: Parameters<typeof createJsonSchemaTransform>[0]['zodToJsonConfig'] = {
  override: ({ zodSchema, jsonSchema }) => {
    const examples = z.globalRegistry.get(zodSchema)?.examples
    if (Array.isArray(examples)) jsonSchema.examples = examples
  },
}
const jsonSchemaTransform = createJsonSchemaTransform({ zodToJsonConfig })
const jsonSchemaTransformObject = createJsonSchemaTransformObject({ zodToJsonConfig })

const keySecurity = [{ accessKey: [] }, { bearer: [] }, { basic: [] }]

/** The OpenAPI 3.1 document of the routes that are registered after this, and the page that shows it at /docs. */
export function describeRoutes(app: FastifyInstance, version: string): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Incident Ledger',
        version,
        description:
          'Records incidents as events, for good. Every error is a problem document (RFC 9457); `type` is a page that says what to do.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        {
          name: 'Incidents',
          description: 'Report, change and read incidents, as they are and as they were.',
        },
        { name: 'Events', description: 'What happened, across incidents: as pages and as a stream.' },
        {
          name: 'Audit',
          description:
            'What proves that the ledger was not altered: a Merkle log over all events, with signed notes. docs/audit.md tells what it proves and what not.',
        },
        {
          name: 'Access keys',
          description: 'Who may do what. Requests may be signed, too (RFC 9421): docs/api.md shows how.',
        },
        { name: 'Service', description: 'How the service is, and what it says about itself.' },
      ],
      components: {
        securitySchemes: {
          accessKey: { type: 'apiKey', in: 'header', name: 'X-Access-Key' },
          bearer: { type: 'http', scheme: 'bearer', description: 'The access key as bearer token.' },
          basic: { type: 'http', scheme: 'basic', description: 'The access key as password.' },
        },
      },
    },
    transform: described,
    transformObject: tidied,
  })
  app.register((pages, _options, done) => {
    pages.accessOfRoutes = 'public'
    pages.register(helmet, pageHeaders)
    pages.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: pagePolicy,
      uiConfig: { deepLinking: true, persistAuthorization: false, tryItOutEnabled: false },
    })
    done()
  })
}

/** A route's zod schemas and its description, as @fastify/swagger takes them. */
const described: SwaggerTransform = (route) => {
  const operation = route.route.config?.operation
  if (!operation) return { schema: { hide: true }, url: route.url }
  const parts = route.schema as RequestParts // `operation()` put them there
  const byStatus = problemsByStatus(operation, parts, String(route.route.method))
  const { schema, url } = jsonSchemaTransform({
    ...route,
    schema: { ...parts, response: together(goodBodies(operation), badBodies(byStatus)) },
  })
  return {
    url,
    schema: {
      ...schema,
      ...(operation.requestHeaders && { headers: headerSchemas(operation.requestHeaders) }),
      response: withHeaders(operation, schema.response as Responses), // made by jsonSchemaTransform from the above
      consumes: ['application/json', ...(operation.consumes ?? [])],
      tags: [operation.tag],
      summary: operation.summary,
      description: operation.description,
      security: operation.access === 'public' ? [] : keySecurity,
      ...{ 'x-scope': operation.access },
    },
  }
}

type Responses = Record<string, { readonly description: string } & Record<string, unknown>>
type Bodies = Record<string, { readonly description: string; readonly content: object }>

function goodBodies({ answers }: Operation): Bodies {
  const withBody = Object.entries(answers).filter(([, { schema }]) => schema)
  return Object.fromEntries(
    withBody.map(([status, { description, schema, mediaType = 'application/json' }]) => [
      status,
      { description, content: { [mediaType]: { schema } } },
    ]),
  )
}

function badBodies(byStatus: ReadonlyMap<number, readonly ProblemSlug[]>): Bodies {
  return Object.fromEntries(
    [...byStatus].map(([status, slugs]) => [
      String(status),
      {
        description: slugs.map((slug) => `\`${slug}\`: ${problems[slug].title}.`).join('\n\n'),
        content: { [problemMediaType]: { schema: problemBody } },
      },
    ]),
  )
}

/** A status may be an answer of the route's own and a problem too, told apart by media type. */
function together(good: Bodies, bad: Bodies): Bodies {
  const shared = Object.keys(good).filter((status) => status in bad)
  const merged = shared.map((status) => [
    status,
    {
      description: [good, bad].map((bodies) => bodies[status]?.description).join('\n\n'),
      content: { ...good[status]?.content, ...bad[status]?.content },
    },
  ])
  return { ...good, ...bad, ...Object.fromEntries(merged) }
}

function withHeaders({ answers }: Operation, bodies: Responses): Responses {
  const ours = Object.entries(answers).map(([status, { description, headers = [] }]) => [
    status,
    {
      ...(bodies[status] ?? { description, type: 'null' }), // so @fastify/swagger writes an answer without a body
      ...(headers.length > 0 && { headers: headerSchemas(headers).properties }),
    },
  ])
  return { ...bodies, ...Object.fromEntries(ours) }
}

function headerSchemas(names: readonly (RequestHeader | AnswerHeader)[]) {
  const described = { ...requestHeaders, ...answerHeaders }
  return {
    type: 'object',
    properties: Object.fromEntries(
      names.map((name) => [name, { type: 'string', description: described[name] }]),
    ),
  }
}

/** The document without the schemas that nothing refers to: of each, zod's input and output form are made, needed or not. */
const tidied: SwaggerTransformObject = (document) => {
  const whole = jsonSchemaTransformObject(document) as Document // which is what `describeRoutes` set
  const schemas: Record<string, unknown> = whole.components?.schemas ?? {}
  const used = new Set<string>()
  collect(whole.paths)
  for (const name of Object.keys(schemas)) {
    if (!used.has(name)) delete schemas[name]
  }
  return whole

  function collect(value: unknown): void {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue
      used.add(name)
      collect(schemas[name] ?? {})
    }
  }
}

type Document = Extract<ReturnType<SwaggerTransformObject>, { components?: unknown }>
