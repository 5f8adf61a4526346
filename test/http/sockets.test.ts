/** What only a real connection shows: parse errors, timeouts, streams, draining. */
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { expect, test, vi } from 'vitest'
import type { HttpDependencies } from '../../src/http/dependencies.ts'
import { call, keys, reported, startService } from './support/service.ts'

async function listening(changes: Partial<HttpDependencies> = {}) {
  const service = startService(changes)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  return { ...service, port: Number(new URL(address).port) }
}

/** Everything the service answers to these bytes until it ends the connection. */
async function rawAnswer(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1')
  socket.on('data', (text) => {
    answer += text
  })
  socket.on('error', () => {})
  socket.write(bytes)
  await once(socket, 'close')
  return answer
}

/** An event stream that is read as it comes. */
function followEvents(port: number, headers: Record<string, string> = {}, query = '') {
  let text = ''
  const ended = Promise.withResolvers<'end' | 'cut'>()
  const client = request(
    { port, path: `/events/stream${query}`, headers: { 'x-access-key': keys.all, ...headers } },
    (answer) => {
      answer.setEncoding('utf8')
      answer.on('data', (chunk) => {
        text += chunk
      })
      answer.on('end', () => ended.resolve('end'))
      answer.on('error', () => ended.resolve('cut'))
      answer.on('close', () => ended.resolve('cut'))
    },
  )
  client.on('error', () => ended.resolve('cut'))
  client.end()
  return {
    text: () => text,
    ids: () => [...text.matchAll(/^id: (\d+)\nevent: /gm)].map(([, id]) => Number(id)),
    opened: () => vi.waitFor(() => expect(text).toContain('retry: ')),
    ended: ended.promise,
    leave: () => client.destroy(),
  }
}

test.each([
  ['no HTTP', 'HELLO\r\n\r\n', '400', 'malformed-request'],
  [
    'headers of more than 16 KB',
    `GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ${'x'.repeat(17_000)}\r\n\r\n`,
    '431',
    'headers-too-large',
  ],
])('%s is answered by a problem document and one log line', async (_, bytes, status, slug) => {
  const { port, lines } = await listening()
  const answer = await rawAnswer(port, bytes)
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(answer).toContain('content-type: application/problem+json')
  expect(answer).toContain(`"/problems/${slug}"`)
  expect(lines.filter(({ msg }) => msg === 'request')).toMatchObject([{ status: Number(status) }])
})

test('a probe without a Host, as load balancers send it by HTTP/1.0, is answered', async () => {
  const { port } = await listening()
  expect(await rawAnswer(port, 'GET /health/ready HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /)
})

test('a request without a Host is answered by a problem document', async () => {
  const { port } = await listening()
  const answer = await rawAnswer(port, 'GET /incidents HTTP/1.1\r\nConnection: close\r\n\r\n')
  expect(answer).toMatch(/^HTTP\/1.1 421 /)
  expect(answer).toContain('"/problems/foreign-host"')
})

test('an expectation that we do not know is a 417', async () => {
  const { port } = await listening()
  const answer = await rawAnswer(
    port,
    'GET /health HTTP/1.1\r\nHost: localhost\r\nExpect: a-miracle\r\nConnection: close\r\n\r\n',
  )
  expect(answer).toMatch(/^HTTP\/1.1 417 /)
  expect(answer).toContain('"/problems/expectation-failed"')
})

test('a request that does not arrive in time is a 408', async () => {
  const { port } = await listening({ limits: { requestTimeoutMs: 100, timeoutCheckMs: 50 } })
  const answer = await rawAnswer(port, 'POST /incidents HTTP/1.1\r\nHost: localhost\r\nContent-')
  expect(answer).toMatch(/^HTTP\/1.1 408 /)
  expect(answer).toContain('"/problems/request-timeout"')
})

test('a stream tells what happens from now on, in order', async () => {
  const service = await listening()
  await reported(service)
  const stream = followEvents(service.port)
  await stream.opened()
  const id = await reported(service)
  await call(service, 'PATCH', `/incidents/${id}/status`, { status: 'in_progress' })
  await vi.waitFor(() => expect(stream.ids()).toEqual([1, 2]))
  expect(stream.text()).toContain('event: IncidentStatusChanged\n')
})

test('a stream goes on after the last event that its reader has', async () => {
  const service = await listening()
  for (let n = 0; n < 5; n += 1) await reported(service)
  const stream = followEvents(service.port, { 'last-event-id': '1' })
  await vi.waitFor(() => expect(stream.ids()).toEqual([2, 3, 4]))
  await reported(service)
  await vi.waitFor(() => expect(stream.ids()).toEqual([2, 3, 4, 5]))
})

test('a stream from the beginning has every event, however many and though more come meanwhile', async () => {
  const service = await listening({ limits: { eventRing: 10 } })
  for (let n = 0; n < 600; n += 1) await reported(service)
  const stream = followEvents(service.port, { 'last-event-id': '-1' })
  for (let n = 0; n < 50; n += 1) await reported(service)
  const all = Array.from({ length: 650 }, (_, index) => index)
  await vi.waitFor(() => expect(stream.ids()).toEqual(all), 10_000)
})

test('a stream can be of one incident or one type', async () => {
  const service = await listening()
  const id = await reported(service)
  const ofOne = followEvents(service.port, {}, `?incidentId=${id}`)
  const ofType = followEvents(service.port, {}, '?type=IncidentNoteAdded')
  await Promise.all([ofOne.opened(), ofType.opened()])
  await reported(service)
  await call(service, 'PATCH', `/incidents/${id}/status`, { status: 'resolved' })
  await call(service, 'POST', `/incidents/${id}/notes`, { text: 'done' })
  await vi.waitFor(() => expect(ofOne.ids()).toEqual([2, 3]))
  await vi.waitFor(() => expect(ofType.ids()).toEqual([3]))
})

test('streams cost one query an announcement, however many there are', async () => {
  const service = await listening()
  const streams = Array.from({ length: 8 }, () => followEvents(service.port))
  await Promise.all(streams.map((stream) => stream.opened()))
  const before = service.ledger.asked.events
  await reported(service)
  await vi.waitFor(() => {
    for (const stream of streams) expect(stream.ids()).toEqual([0])
  })
  expect(service.ledger.asked.events - before).toBe(1)
})

test('a quiet stream is kept alive, and its heartbeat says how far it is', async () => {
  const service = await listening({ limits: { heartbeatMs: 20 }, clock: Date.now })
  const stream = followEvents(service.port, {}, '?type=IncidentNoteAdded')
  await stream.opened()
  await reported(service)
  await vi.waitFor(() => expect(stream.text()).toMatch(/: heartbeat\nid: 0\n\n/))
  expect(stream.ids()).toEqual([])
})

test('a reader who takes nothing is cut off', async () => {
  const service = await listening({ limits: { slowReaderMs: 500 }, clock: Date.now })
  // More than the buffers of both ends hold.
  const big = { description: '\u2603'.repeat(10_000), source: 'operator' }
  for (let n = 0; n < 600; n += 1) await reported(service, big)
  const socket = connect(service.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  socket.write(
    `GET /events/stream HTTP/1.1\r\nHost: localhost\r\nX-Access-Key: ${keys.all}\r\nLast-Event-ID: -1\r\n\r\n`,
  )
  const openStreams = async () =>
    /^ledger_event_streams (\d+)/m.exec((await call(service, 'GET', '/metrics')).body)?.[1]
  await vi.waitFor(async () => expect(await openStreams()).toBe('1'))
  await vi.waitFor(async () => expect(await openStreams()).toBe('0'), 20_000)
  socket.destroy()
})

test('more streams than there may be are refused, and one that was left makes room', async () => {
  const service = await listening({ limits: { eventStreams: 1 } })
  const first = followEvents(service.port)
  await first.opened()
  const refused = await call(service, 'GET', '/events/stream')
  expect(refused.statusCode).toBe(503)
  expect(refused.headers['retry-after']).toBe('30')
  first.leave()
  await vi.waitFor(async () => {
    const second = followEvents(service.port)
    await Promise.race([second.opened(), second.ended])
    expect(second.text()).toContain('retry: 2000')
  })
})

test('the streams of a key end when it is revoked', async () => {
  const service = await listening()
  const stream = followEvents(service.port, { 'x-access-key': keys.reader })
  await stream.opened()
  service.accessKeys.revoke('reader')
  expect(await stream.ended).toBe('end')
})

test('a stop ends streams cleanly, lets what is under way finish and closes kept connections', async () => {
  const service = await listening()
  const stream = followEvents(service.port)
  await stream.opened()
  service.ledger.hold()
  const gate = Promise.withResolvers<void>()
  vi.spyOn(service.ledger.announcements, 'reached').mockImplementation(async () => {
    await gate.promise
    return true
  })
  const answer = fetch(`http://127.0.0.1:${service.port}/incidents`, {
    method: 'POST',
    headers: { 'x-access-key': keys.all, 'content-type': 'application/json' },
    body: JSON.stringify({ description: 'x', source: 'operator' }),
  })
  await vi.waitFor(() => expect(service.ledger.records).toHaveLength(1))
  const closed = service.app.close()
  expect(await stream.ended).toBe('end')
  gate.resolve()
  expect((await answer).status).toBe(201)
  await closed
})
