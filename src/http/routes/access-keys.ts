import { z } from 'zod'
import {
  type AccessKey,
  accessKeyId,
  issueBody,
  keyRevisionBody,
  scopes,
  standingAt,
} from '../../aggregates/access-key/index.ts'
import type { AccessKeyRegister, KeyContext, Keyring } from '../../ledger/ledger.ts'
import type { AccessKeyDirectory } from '../../projections/access-key-directory.ts'
import { commandContext } from '../command-answer.ts'
import { cursorsOf } from '../cursor.ts'
import * as examples from '../examples.ts'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'
import { cursorParameter, keysetPage, pageSize } from '../pages.ts'
import { HttpProblem, type ProblemSlug } from '../problems.ts'

export interface AccessKeySeams {
  readonly register: Pick<AccessKeyRegister, 'issue' | 'revise' | 'revoke'>
  readonly directory: Pick<AccessKeyDirectory, 'all' | 'byId' | 'shown'>
  readonly keyring: Pick<Keyring, 'sign' | 'verify'>
  readonly visibilityMs: number
  readonly clock: () => number
}

const time = z.iso.datetime({ precision: 3 }).describe('ISO 8601, in UTC, with milliseconds.')
const accessKeyFields = {
  id: z.uuid().describe('Public: the actor of the events that come by this key.'),
  name: z.string(),
  scopes: z.array(z.enum(scopes)),
  status: z.enum(['active', 'expired', 'revoked']),
  expiresAt: time.nullable(),
  requiresSignature: z.boolean().describe('Whether it opens nothing but to signed requests.'),
  issuedAt: time,
  updatedAt: time,
}
const accessKeyAnswer = z
  .strictObject(accessKeyFields)
  .meta({ id: 'AccessKey', examples: [examples.accessKey] })
const issuedAnswer = z
  .strictObject({
    ...accessKeyFields,
    key: z.string().describe('The key itself, shown this once: what X-Access-Key carries.'),
    signingSecret: z.string().describe('What signed requests are signed with, shown this once.'),
  })
  .meta({ id: 'IssuedAccessKey', examples: [examples.issuedAccessKey] })
const accessKeysAnswer = z
  .strictObject({ items: z.array(accessKeyAnswer), nextCursor: z.string().nullable() })
  .meta({ id: 'AccessKeys', examples: [{ items: [examples.accessKey], nextCursor: null }] })

const params = z.object({ id: accessKeyId.meta({ examples: [examples.accessKey.id] }) })
const bodies = {
  issue: issueBody.meta({ id: 'AccessKeyIssue', examples: [examples.accessKeyIssue] }),
  revision: keyRevisionBody.meta({ id: 'AccessKeyRevision', examples: [{ scopes: ['read'] }] }),
}
const querystring = z.strictObject({
  limit: pageSize({ standard: 50, maximum: 200 }),
  cursor: cursorParameter,
})

const common = { access: 'admin', tag: 'Access keys', audited: true } as const
const failures = [
  'contended',
  'outcome-unknown',
  'event-store-unavailable',
  'ledger-retired',
  'history-unreadable',
] as const satisfies readonly ProblemSlug[]

/** POST and GET /access-keys; GET, PATCH and DELETE /access-keys/{id} */
export function accessKeyRoutes(app: App, seams: AccessKeySeams): void {
  const { register, directory, keyring, visibilityMs, clock } = seams
  const cursors = cursorsOf(keyring, 'access-keys', z.string())

  const issueRoute = operation(
    {
      ...common,
      summary: 'Issue an access key',
      description:
        'The answer alone shows the key and its signing secret: neither is kept, nor shown again. Where the answer is lost, revoke the key and issue another.',
      answers: { 201: { description: 'The key, durable.', schema: issuedAnswer, headers: ['Location'] } },
      problems: [...failures, 'expiry-in-past'],
    },
    { body: bodies.issue },
  )
  app.post('/access-keys', issueRoute, async (request, reply) => {
    const { accessKey, key, signingSecret } = await register.issue(request.body, keyContext(request))
    await directory.shown(accessKey.id, accessKey.revision, visibilityMs)
    return reply
      .code(201)
      .header('location', `/access-keys/${accessKey.id}`)
      .header('cache-control', 'no-store')
      .send({ ...answer(accessKey), key, signingSecret })
  })

  const listRoute = operation(
    {
      ...common,
      summary: 'List the access keys',
      description:
        'In the order of their issue; revoked and expired ones too. Neither X_ACCESS_KEY nor a key file is in it.',
      answers: { 200: { description: 'A page of access keys.', schema: accessKeysAnswer } },
      problems: ['invalid-cursor'],
    },
    { querystring },
  )
  app.get('/access-keys', listRoute, async ({ query }, reply) => {
    const find = async ({ limit, after }: { limit: number; after?: string }) => {
      const all = directory.all()
      const start = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1
      return all.slice(start, start + limit).map(answer)
    }
    const json = await keysetPage(query, [], cursors, find, ({ id }) => id)
    return reply.type('application/json; charset=utf-8').send(json)
  })

  const oneRoute = operation(
    {
      ...common,
      summary: 'Read an access key',
      description: 'Who changed it, and when, is in the ledger.',
      answers: { 200: { description: 'The access key.', schema: accessKeyAnswer } },
      problems: ['access-key-not-found'],
    },
    { params },
  )
  app.get('/access-keys/:id', oneRoute, (request) => {
    const found = directory.byId(request.params.id)
    if (!found) throw new HttpProblem('access-key-not-found')
    return answer(found)
  })

  const reviseRoute = operation(
    {
      ...common,
      summary: 'Change the name, the scopes or the expiry of an access key',
      description: 'What is absent stays. Holds in every process within a second.',
      answers: { 200: { description: 'The access key after the change, durable.', schema: accessKeyAnswer } },
      problems: [...failures, 'access-key-not-found', 'access-key-revoked', 'expiry-in-past'],
    },
    { params, body: bodies.revision },
  )
  app.patch('/access-keys/:id', reviseRoute, async (request) =>
    shown(await register.revise(request.params.id, request.body, keyContext(request))),
  )

  const revokeRoute = operation(
    {
      ...common,
      summary: 'Revoke an access key',
      description:
        'For good. Holds in every process within a second; event streams that were opened with it end. To revoke it again is success.',
      answers: { 200: { description: 'The access key, revoked, durable.', schema: accessKeyAnswer } },
      problems: [...failures, 'access-key-not-found'],
    },
    { params },
  )
  app.delete('/access-keys/:id', revokeRoute, async (request) =>
    shown(await register.revoke(request.params.id, keyContext(request))),
  )

  async function shown(key: AccessKey) {
    await directory.shown(key.id, key.revision, visibilityMs)
    return answer(key)
  }

  function answer(key: AccessKey): z.output<typeof accessKeyAnswer> {
    const { id, name, scopes, expiresAt, requiresSignature, issuedAt, updatedAt } = key
    const status = standingAt(key, new Date(clock()).toISOString())
    return { id, name, scopes: [...scopes], status, expiresAt, requiresSignature, issuedAt, updatedAt }
  }
}

function keyContext(request: Parameters<typeof commandContext>[0]): KeyContext {
  const { actor, correlationId, traceparent } = commandContext(request)
  return { actor, correlationId, ...(traceparent !== undefined && { traceparent }) }
}
