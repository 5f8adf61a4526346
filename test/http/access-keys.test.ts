import { describe, expect, onTestFinished, test } from 'vitest'
import { openAccessKeys } from '../../src/http/access-keys.ts'
import type { HttpDependencies } from '../../src/http/dependencies.ts'
import { aReport, call, keys, startService } from './support/service.ts'
import { signedHeaders } from './support/signing.ts'

/** A service whose keys are those that it issues, and one that administers them. */
async function startDoor(changes: Partial<HttpDependencies> = {}) {
  const inner = startService()
  const accessKeys = await openAccessKeys({
    configured: { value: keys.all, isDefault: false },
    // The store in memory keeps hanging up; what a loss means has a test of its own.
    directory: { ...inner.directory, isCurrent: () => true },
    clock: () => Date.parse('2026-02-01T12:00:00.000Z'),
    onError: () => {},
  })
  onTestFinished(accessKeys.close)
  const service = startService({
    accessKeys,
    directory: inner.directory,
    register: inner.register,
    ...changes,
  })
  const issue = async (body: object) => {
    const answer = await call(service, 'POST', '/access-keys', body)
    expect(answer.statusCode, answer.body).toBe(201)
    return answer.json() as { id: string; key: string; signingSecret: string }
  }
  return { service, issue }
}

const pager = { name: 'pager', scopes: ['read', 'write'] }
const createdS = Date.parse('2026-02-01T12:00:00.000Z') / 1_000

describe('issued keys', () => {
  test('open what their scopes open, until they are revoked', async () => {
    const { service, issue } = await startDoor()
    const { id, key } = await issue(pager)
    const use = (method: 'GET' | 'POST', url: string, body?: object) =>
      call(service, method, url, body, { 'x-access-key': key })
    expect((await use('POST', '/incidents', aReport)).statusCode).toBe(201)
    expect((await use('GET', '/access-keys')).json()).toMatchObject({ status: 403, scope: 'admin' })

    await call(service, 'PATCH', `/access-keys/${id}`, { scopes: ['read'] })
    expect((await use('POST', '/incidents', aReport)).json()).toMatchObject({ status: 403, scope: 'write' })
    expect((await use('GET', '/incidents')).statusCode).toBe(200)

    const revoked = await call(service, 'DELETE', `/access-keys/${id}`)
    expect(revoked.json()).toMatchObject({ id, status: 'revoked' })
    expect((await use('GET', '/incidents')).statusCode).toBe(401)
    expect((await call(service, 'DELETE', `/access-keys/${id}`)).statusCode).toBe(200)
  })

  test('are shown once: in no list, in no log', async () => {
    const { service, issue } = await startDoor()
    const { id, key, signingSecret } = await issue(pager)
    const listed = await call(service, 'GET', '/access-keys')
    const one = await call(service, 'GET', `/access-keys/${id}`)
    expect(one.json()).toMatchObject({
      id,
      ...pager,
      status: 'active',
      expiresAt: null,
      requiresSignature: false,
    })
    expect(listed.json()).toEqual({ items: [one.json()], nextCursor: null })
    const told = JSON.stringify([service.lines, listed.json(), one.json()])
    expect([key, signingSecret].filter((secret) => told.includes(secret))).toEqual([])
  })

  test('are listed a page at a time', async () => {
    const { service, issue } = await startDoor()
    const ids = []
    for (const name of ['a', 'b', 'c']) ids.push((await issue({ name, scopes: ['read'] })).id)
    const first = (await call(service, 'GET', '/access-keys?limit=2')).json()
    const second = (await call(service, 'GET', `/access-keys?limit=2&cursor=${first.nextCursor}`)).json()
    expect([...first.items, ...second.items].map(({ id }: { id: string }) => id)).toEqual(ids)
    expect(second.nextCursor).toBeNull()
    expect((await call(service, 'GET', '/access-keys?cursor=forged')).json()).toMatchObject({
      type: '/problems/invalid-cursor',
    })
  })

  test('cannot be issued expired, nor changed once they are revoked, nor found when there are none', async () => {
    const { service, issue } = await startDoor()
    const past = await call(service, 'POST', '/access-keys', { ...pager, expiresAt: '2026-01-01T00:00:00Z' })
    expect(past.json()).toMatchObject({
      status: 422,
      errors: [{ path: '/expiresAt', message: 'must lie in the future' }],
    })
    const { id } = await issue(pager)
    await call(service, 'DELETE', `/access-keys/${id}`)
    expect((await call(service, 'PATCH', `/access-keys/${id}`, { name: 'again' })).json()).toMatchObject({
      status: 409,
    })
    for (const method of ['GET', 'DELETE'] as const) {
      const answer = await call(service, method, '/access-keys/018bcfe5-6800-7000-8000-0000000000aa')
      expect(answer.json()).toMatchObject({ status: 404, type: '/problems/access-key-not-found' })
    }
  })

  test('expire', async () => {
    const { service, issue } = await startDoor()
    const { id, key } = await issue({ ...pager, expiresAt: '2026-02-01T12:00:00.001Z' })
    expect((await call(service, 'GET', '/incidents', undefined, { 'x-access-key': key })).statusCode).toBe(
      200,
    )
    service.pass(1)
    expect((await call(service, 'GET', `/access-keys/${id}`)).json()).toMatchObject({ status: 'expired' })
  })
})

describe('signed requests', () => {
  const url = 'http://localhost/incidents'
  const post = { method: 'POST', url, body: JSON.stringify(aReport) }

  async function startSigned(changes: Partial<HttpDependencies> = {}) {
    const { service, issue } = await startDoor(changes)
    const { id, key, signingSecret } = await issue({ ...pager, requiresSignature: true })
    const signer = { keyId: id, secret: signingSecret, createdS }
    const send = (headers: Record<string, string>, body = post.body) =>
      service.app.inject({
        method: 'POST',
        url: '/incidents',
        headers: { host: 'localhost', ...headers },
        payload: body,
      })
    return { service, signer, send, key, id }
  }

  test('are taken, and act as the key that signed', async () => {
    const { service, signer, send, id } = await startSigned()
    const answer = await send(signedHeaders(post, signer))
    expect(answer.statusCode, answer.body).toBe(201)
    expect(service.ledger.records[0]?.metadata.actor).toMatchObject({ kind: 'access-key', id })
  })

  test('are taken at the address that callers know, and over TLS that ends before us', async () => {
    const { signer, send } = await startSigned({ publicOrigin: 'https://ledger.example' })
    for (const origin of ['https://ledger.example', 'https://localhost']) {
      expect((await send(signedHeaders({ ...post, url: `${origin}/incidents` }, signer))).statusCode).toBe(
        201,
      )
    }
  })

  test('are the only ones that a key which asks for them opens to', async () => {
    const { service, key } = await startSigned()
    const answer = await call(service, 'GET', '/incidents', undefined, { 'x-access-key': key })
    expect(answer.json()).toMatchObject({ status: 401, type: '/problems/signature-required' })
  })

  test('are accepted from a key that does not ask for them, too', async () => {
    const { service, issue } = await startDoor()
    const { id, signingSecret } = await issue(pager)
    const headers = signedHeaders({ method: 'GET', url }, { keyId: id, secret: signingSecret, createdS })
    const answer = await service.app.inject({ url: '/incidents', headers: { host: 'localhost', ...headers } })
    expect(answer.statusCode).toBe(200)
  })

  test('are taken once', async () => {
    const { send, signer } = await startSigned()
    const headers = signedHeaders(post, signer)
    expect((await send(headers)).statusCode).toBe(201)
    expect((await send(headers)).json()).toMatchObject({ status: 401, type: '/problems/signature-replayed' })
  })

  test('must be of the very bytes of the body', async () => {
    const { service, send, signer } = await startSigned()
    const answer = await send(signedHeaders(post, signer), `${post.body} `)
    expect(answer.json()).toMatchObject({ status: 400, type: '/problems/digest-mismatch' })
    expect(service.ledger.records).toHaveLength(0)
  })

  test.each([
    ['is made long ago', { createdS: createdS - 301 }, 'within the last 300 s'],
    ['is made in the future', { createdS: createdS + 11 }, 'within the last 300 s'],
    ['is made with another secret', { secret: 'another' }, 'does not hold'],
    ['names a key that there is not', { keyId: '018bcfe5-6800-7000-8000-0000000000aa' }, 'does not hold'],
    ['names the configured key', { keyId: 'x-access-key' }, 'does not hold'],
    [
      'does not cover the digest',
      { components: ['@method', '@target-uri', 'content-type'] },
      'must cover content-digest',
    ],
    [
      'does not cover the address',
      { components: ['@method', 'content-type', 'content-digest'] },
      'must cover @target-uri',
    ],
    ['has a nonce of no length', { nonce: 'short' }, 'nonce must have'],
  ])('whose signature %s are refused', async (_, change, why) => {
    const { service, send, signer } = await startSigned()
    const answer = await send(signedHeaders(post, { ...signer, ...change }))
    expect(answer.json()).toMatchObject({
      status: 401,
      type: '/problems/signature-invalid',
      reason: expect.stringContaining(why),
    })
    expect(service.ledger.records).toHaveLength(0)
  })

  test('must cover the headers that change what they mean', async () => {
    const { send, signer } = await startSigned()
    const headers = signedHeaders(post, signer)
    expect((await send({ ...headers, 'idempotency-key': 'once' })).json()).toMatchObject({
      reason: 'the signature must cover idempotency-key',
    })
    expect((await send({ ...headers, 'if-match': '"1"' })).json()).toMatchObject({
      reason: 'the signature must cover if-match',
    })
    expect(
      (await send(signedHeaders({ ...post, headers: { 'idempotency-key': 'once' } }, signer))).statusCode,
    ).toBe(201)
  })

  test('are refused where their signature became too old before the answer came whether it was used', async () => {
    let wait = () => {}
    const nonces = {
      use: async () => {
        wait()
        return true
      },
    }
    const { service, send, signer } = await startSigned({ nonces })
    wait = () => service.pass(299_000)
    expect((await send(signedHeaders(post, signer))).statusCode).toBe(201)
    wait = () => service.pass(2_000)
    const answer = await send(signedHeaders(post, signer))
    expect(answer.json()).toMatchObject({ status: 503, type: '/problems/signature-unverifiable' })
  })

  test('are taken where one of several signatures holds', async () => {
    const { send, signer } = await startSigned()
    const one = signedHeaders(post, { ...signer, secret: 'another', label: 'theirs' })
    const two = signedHeaders(post, { ...signer, label: 'ours' })
    const both = {
      'signature-input': `${one['signature-input']}, ${two['signature-input']}`,
      signature: `${one.signature}, ${two.signature}`,
    }
    expect((await send({ ...two, ...both })).statusCode).toBe(201)
  })

  test('are not mixed with another key', async () => {
    const { send, signer, key } = await startSigned()
    const other = await send({ ...signedHeaders(post, signer), 'x-access-key': keys.all })
    expect(other.json()).toMatchObject({ status: 401, reason: expect.stringContaining('X-Access-Key') })
    expect((await send({ ...signedHeaders(post, signer), 'x-access-key': key })).statusCode).toBe(201)
  })

  test('are refused with half a signature, whatever key comes with it', async () => {
    const { send } = await startSigned()
    const answer = await send({
      signature: 'sig=:AAAA:',
      'content-type': 'application/json',
      'x-access-key': keys.all,
    })
    expect(answer.json()).toMatchObject({ status: 401, type: '/problems/signature-invalid' })
  })

  test('are refused while it cannot be known whether they were used before', async () => {
    const { service, send, signer } = await startSigned({
      nonces: { use: () => Promise.reject(new Error('gone')) },
    })
    const answer = await send(signedHeaders(post, signer))
    expect(answer.json()).toMatchObject({ status: 503, type: '/problems/signature-unverifiable' })
    expect(answer.headers['retry-after']).toBe('2')
    expect(service.lines).toContainEqual(expect.objectContaining({ reason: 'gone' }))
  })

  test('are refused while a revocation could not be known, and unsigned ones are not', async () => {
    const { service, issue } = await startDoor()
    const { id, key, signingSecret } = await issue(pager)
    const accessKeys = await openAccessKeys({
      configured: { value: keys.all, isDefault: false },
      directory: { ...service.directory, byId: () => undefined, byDigest: () => undefined },
      clock: () => 0,
      onError: () => {},
    })
    const known = {
      id,
      name: 'pager',
      scopes: new Set(['read'] as const),
      expiresAtMs: undefined,
      requiresSignature: false,
    }
    const cutOff = startService({
      accessKeys: {
        ...accessKeys,
        find: (given) => (given === key ? known : undefined),
        byId: () => known,
        isCurrent: () => false,
      },
    })
    const headers = signedHeaders({ method: 'GET', url }, { keyId: id, secret: signingSecret, createdS })
    const signed = await cutOff.app.inject({ url: '/incidents', headers: { host: 'localhost', ...headers } })
    expect(signed.json()).toMatchObject({ status: 503, type: '/problems/signature-unverifiable' })
    expect((await call(cutOff, 'GET', '/incidents', undefined, { 'x-access-key': key })).statusCode).toBe(200)
  })
})
