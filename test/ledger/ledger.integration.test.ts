import { randomUUID } from 'node:crypto'
import pino from 'pino'
import { expect, test } from 'vitest'
import { reportBody } from '../../src/aggregates/incident/index.ts'
import { startEventStoreNode } from '../../src/embedded/event-store/node.ts'
import { openLedger } from '../../src/ledger/open.ts'

test('open, report, change, read, subscribe', async () => {
  const node = await startEventStoreNode({ dataDir: undefined })
  const ledger = await openLedger({
    eventStoreUrl: node.url,
    secret: { current: { version: 1, value: 'x'.repeat(32) }, previous: [] },
    log: pino({ level: 'silent' }),
  })
  const context = { actor: { kind: 'access-key', id: 'k', name: 'k' }, correlationId: randomUUID() } as const
  const made = await ledger.incidents.report(
    { body: reportBody.parse({ description: 'disk full', source: 'operator' }), origin: 'k' },
    context,
  )
  expect(made.outcome).toBe('created')
  const changed = await ledger.incidents.change(
    made.incident.id,
    { type: 'ChangeStatus', body: { status: 'in_progress' } },
    context,
  )
  expect(changed.incident.revision).toBe(1)
  const keyed = { ...context, idempotency: { scope: 's', key: 'k1', request: { a: 1 } } }
  const [a, b] = await Promise.all(
    [1, 2].map(() =>
      ledger.incidents.report(
        {
          body: reportBody.parse({ description: 'disk full', source: 'operator', externalKey: 'e1' }),
          origin: 'k',
        },
        keyed,
      ),
    ),
  )
  expect(a).toEqual(b)
  const abort = new AbortController()
  const seen = []
  for await (const { records, caughtUp } of ledger.subscribe({ batchSize: 10, signal: abort.signal })) {
    seen.push(...records)
    if (caughtUp) abort.abort()
  }
  expect(seen.map((r) => r.kind)).toEqual(['incident', 'incident', 'incident'])
  expect(await ledger.readAt(made.position)).toEqual(seen[0])
  expect((await ledger.history.events(made.incident.id)).length).toBe(2)
  await ledger.close()
  await node.close()
})
