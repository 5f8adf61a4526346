import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { incidentEventTypes, incidentId } from '../../aggregates/incident/index.ts'
import type { AccessKeys } from '../access-keys.ts'
import type { EventFeed } from '../event-feed.ts'
import { callerOf } from '../guard.ts'
import type { App } from '../instance.ts'
import { invalidField } from '../invalid-input.ts'
import { operation } from '../operation.ts'
import { HttpProblem } from '../problems.ts'
import { given } from '../read-seams.ts'

const querystring = z.strictObject({
  incidentId: incidentId.optional(),
  type: z.enum(incidentEventTypes).optional(),
})

/** GET /events/stream */
export function eventStream(app: App, feed: EventFeed, accessKeys: Pick<AccessKeys, 'byId'>): void {
  const described = operation(
    {
      access: 'read',
      audited: true,
      tag: 'Events',
      summary: 'Follow the events',
      description:
        'Server-Sent Events: `id` is the index, `event` the type, `data` an Event as JSON. Begins with what happens next, or after Last-Event-ID. A heartbeat comes every 15 s. Who reads too slowly is cut off, and can resume.',
      answers: {
        200: { description: 'A stream without end.', schema: z.string(), mediaType: 'text/event-stream' },
      },
      requestHeaders: ['Last-Event-ID'],
      problems: ['read-model-unavailable', 'query-timeout', 'too-many-streams'],
    },
    { querystring },
  )

  app.get('/events/stream', { ...described, exposeHeadRoute: false }, async (request, reply) => {
    const { id } = callerOf(request)
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const stream = await feed.open({
      after: lastEventId(request.headers),
      filter: given(request.query),
      mayRead: () => accessKeys.byId(id)?.scopes.has('read') === true,
      signal: gone.signal,
    })
    if (!stream) throw new HttpProblem('too-many-streams')
    return reply
      .type('text/event-stream; charset=utf-8')
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no') // nginx would hold events back
      .send(stream)
  })
}

function lastEventId(headers: IncomingHttpHeaders): number | undefined {
  const value = headers['last-event-id']
  if (value === undefined || value === '') return undefined
  if (!/^-1$|^\d{1,15}$/.test(String(value))) {
    throw invalidField('invalid-header', '/last-event-id', 'must be the id of an event of the stream')
  }
  return Number(value)
}
