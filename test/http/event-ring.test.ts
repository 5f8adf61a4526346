import { expect, test } from 'vitest'
import { openEventRing } from '../../src/http/event-ring.ts'
import type { Announced, ListedEvent } from '../../src/projections/read-model.ts'

const [one, other] = ['a', 'b'] as ListedEvent['incidentId'][]

function event(index: number, more: Pick<ListedEvent, 'type' | 'data'> & Partial<ListedEvent>): ListedEvent {
  const at = '2026-01-31T09:00:00.000Z' as ListedEvent['at']
  return {
    index,
    id: `event ${index}`,
    incidentId: one ?? ('' as ListedEvent['incidentId']),
    revision: index,
    at,
    recordedAt: at,
    actor: { kind: 'access-key', id: 'k', name: 'Miller' },
    correlationId: 'c',
    ...more,
  }
}

test('events that are kept for followers forget what is erased', async () => {
  const events = [
    event(0, { type: 'IncidentReported', data: { title: 'Miller', severity: 'low' } }),
    event(1, {
      type: 'IncidentNoteAdded',
      data: { noteId: 'n', text: 'Miller' },
      ...(other && { incidentId: other }),
    }),
    event(2, { type: 'IncidentPersonalDataErased', data: { reason: 'asked for' } }),
  ]
  let announce: (announced: Announced) => void = () => {}
  const announced = (index: number) => ({
    index,
    generation: 0,
    position: { commit: BigInt(index), prepare: 0n },
  })
  const grown = Promise.withResolvers<void>()
  const ring = openEventRing({
    queries: {
      events: async ({ after = -1, limit }) => events.filter(({ index }) => index > after).slice(0, limit),
    },
    announcements: {
      current: () => announced(-1),
      listen: (listener) => {
        announce = listener
        return () => {}
      },
    },
    capacity: 10,
    onGrowth: () => {
      if (ring.through() === 2) grown.resolve()
    },
  })
  await ring.start()
  announce(announced(1))
  announce(announced(2))
  await grown.promise
  const { events: kept } = await ring.after(-1, {})
  expect(kept).toMatchObject([
    { actor: { name: null }, data: { title: null, severity: 'low' }, erased: ['title', 'actor.name'] },
    { actor: { name: 'Miller' }, data: { text: 'Miller' } },
    { actor: { name: 'Miller' }, data: { reason: 'asked for' } },
  ])
})
