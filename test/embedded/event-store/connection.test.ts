import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, constants } from 'node:http2'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { AccessDeniedError, EventStoreDBClient } from '@eventstore/db-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EventStoreNodeThread, startEventStoreNode } from '../../../src/embedded/event-store/node.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { collect, newStream, someEvents, useNode } from './node-under-test.ts'

const credentials = { username: 'admin', password: 'a new secret' }

let directory: TemporaryDirectory
let tls: { certificate: string; key: string }
beforeAll(async () => {
  directory = await temporaryDirectory()
  tls = { certificate: join(directory.path, 'node.crt'), key: join(directory.path, 'node.key') }
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-keyout', tls.key, '-out', tls.certificate],
    ],
    { stdio: 'ignore' },
  )
})
afterAll(() => directory.remove())

/** Appends, by both calls of the protocol, and reads back. */
async function exchange(connectionString: string): Promise<unknown> {
  const client = EventStoreDBClient.connectionString(connectionString)
  const stream = newStream()
  try {
    await client.appendToStream(stream, someEvents(1))
    await client.appendToStream(stream, someEvents(1), { credentials })
    return (await collect(client.readStream(stream))).length
  } finally {
    await client.dispose()
  }
}

describe('a node without TLS', () => {
  const node = useNode()
  const port = () => new URL(node.url).port

  test.each([
    'esdb://127.0.0.1:PORT?tls=false',
    'esdb://127.0.0.1:PORT/?tls=false',
    'esdb://localhost:PORT?tls=false',
    'esdb://admin:changeit@127.0.0.1:PORT?tls=false',
    'esdb://us%40er:p%3Aass@127.0.0.1:PORT?tls=false',
    'esdb://127.0.0.1:PORT?tls=false&keepAliveInterval=10000&keepAliveTimeout=10000',
    'esdb://127.0.0.1:PORT?tls=false&keepAliveInterval=-1&keepAliveTimeout=-1',
    'esdb://127.0.0.1:PORT?tls=false&tlsVerifyCert=false&throwOnAppendFailure=true&connectionName=somebody',
    'esdb://127.0.0.1:PORT?tls=false&defaultDeadline=60000',
    'esdb+discover://127.0.0.1:PORT?tls=false',
    'esdb+discover://localhost:PORT?tls=false&maxDiscoverAttempts=3&discoveryInterval=100&gossipTimeout=5',
    'esdb+discover://127.0.0.1:PORT?tls=false&nodePreference=leader',
    'esdb+discover://127.0.0.1:PORT?tls=false&nodePreference=follower',
    'esdb+discover://127.0.0.1:PORT?tls=false&nodePreference=random',
    'esdb+discover://127.0.0.1:PORT?tls=false&nodePreference=readOnlyReplica',
    'esdb+discover://admin:changeit@127.0.0.1:PORT,localhost:PORT?tls=false',
  ])('serves %s', async (form) => {
    expect(await exchange(form.replaceAll('PORT', port()))).toBe(2)
  })

  test('takes pings as often as a client likes', async () => {
    const session = connect(`http://127.0.0.1:${port()}`)
    await once(session, 'connect')
    const ping = promisify((done: (error: Error | null) => void) => session.ping(done))
    for (let n = 0; n < 200; n += 1) await ping()
    expect([session.closed, session.destroyed]).toEqual([false, false])
    session.destroy()
  })

  test('refuses to gossip to an authority that is none, and lives on', async () => {
    const session = connect(`http://127.0.0.1:${port()}`)
    const call = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_AUTHORITY]: 'a:b:c',
      [constants.HTTP2_HEADER_PATH]: '/event_store.client.gossip.Gossip/Read',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      te: 'trailers',
    })
    call.end(Buffer.alloc(5))
    const [headers] = await once(call, 'response')
    expect(headers).toMatchObject({ 'grpc-status': '3' })
    session.destroy()
    expect(await exchange(`esdb+discover://127.0.0.1:${port()}?tls=false`)).toBe(2)
  })

  test("ends a call at the client's deadline", async () => {
    const session = connect(`http://127.0.0.1:${port()}`)
    const call = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/event_store.client.streams.Streams/BatchAppend',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '50m',
    })
    const [headers] = await once(call, 'response')
    expect(headers).toMatchObject({ 'grpc-status': '4' })
    session.destroy()
  })
})

describe('a node with a certificate', () => {
  let node: EventStoreNodeThread
  const url = (login = '') => `esdb://${login}localhost:${node.port}?tls=true&tlsCAFile=${tls.certificate}`
  beforeAll(async () => {
    node = await startEventStoreNode({ dataDir: undefined, tls })
  })
  afterAll(() => node.close())

  test('serves clients that trust it, and says so in its URL', async () => {
    expect(node.url).toBe(`esdb://127.0.0.1:${node.port}?tls=true`)
    expect(await exchange(url())).toBe(2)
    expect(await exchange(url('admin:changeit@'))).toBe(2)
    expect(await exchange(url().replace('esdb:', 'esdb+discover:'))).toBe(2)
  })

  test('is refused by clients that do not', async () => {
    await expect(exchange(`esdb://localhost:${node.port}`)).rejects.toThrow(/certificate/)
  })
})

describe('a node with a password', () => {
  let node: EventStoreNodeThread
  const url = (login = '') => `esdb://${login}localhost:${node.port}?tlsCAFile=${tls.certificate}`
  beforeAll(async () => {
    node = await startEventStoreNode({ dataDir: undefined, tls, password: credentials.password })
  })
  afterAll(() => node.close())

  test('serves those who know it, found directly or by gossip', async () => {
    expect(await exchange(url('admin:a%20new%20secret@'))).toBe(2)
    expect(await exchange(url('admin:a%20new%20secret@').replace('esdb:', 'esdb+discover:'))).toBe(2)
  })

  test.each(['admin:changeit@', 'ops:a%20new%20secret@', 'admin:a%20new%20secret%20@'])(
    'refuses the login %s',
    async (login) => {
      const client = EventStoreDBClient.connectionString(url(login))
      const unauthenticated = { code: 16 }
      await expect(collect(client.readAll())).rejects.toMatchObject(unauthenticated)
      await expect(client.deleteStream('s')).rejects.toMatchObject(unauthenticated)
      await expect(client.appendToStream('s', someEvents(1))).rejects.toMatchObject(unauthenticated)
      await client.dispose()
    },
  )

  test('denies access to those without a login', async () => {
    const client = EventStoreDBClient.connectionString(url())
    await expect(collect(client.readAll())).rejects.toBeInstanceOf(AccessDeniedError)
    await expect(client.tombstoneStream('s')).rejects.toBeInstanceOf(AccessDeniedError)
    await expect(client.appendToStream('s', someEvents(1))).rejects.toBeInstanceOf(AccessDeniedError)
    await client.dispose()
  })
})

test.each([
  ['a password without TLS', () => ({ password: 'secret' }), /a password needs a TLS certificate/],
  [
    'a certificate that is not there',
    () => ({ tls: { ...tls, certificate: '/nowhere/node.crt' } }),
    /the TLS certificate cannot be read: ENOENT.*nowhere/,
  ],
  [
    'a key that is none',
    () => ({ tls: { ...tls, key: tls.certificate } }),
    /are no certificate in PEM and its/,
  ],
])('%s is refused at the start, with a sentence', async (_, options, sentence) => {
  await expect(startEventStoreNode({ dataDir: undefined, ...options() })).rejects.toThrow(sentence)
})
