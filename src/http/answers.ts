/** The shapes of answers: what the OpenAPI document says of them, and their types. Answers are ours: tests hold them to it. */
import { z } from 'zod'
import { accessKeyEventTypes } from '../aggregates/access-key/index.ts'
import {
  erasableFields,
  incidentEventTypes,
  limits,
  severities,
  sources,
  statuses,
} from '../aggregates/incident/index.ts'
import { actor as givenActor } from '../ledger/event.ts'
import * as examples from './examples.ts'

const id = z.uuid().describe('UUID, in lower case.')
const time = z.iso.datetime({ precision: 3 }).describe('ISO 8601, in UTC, with milliseconds.')
const revision = z.int().min(0).describe('Dense from 0, one more for each event of the incident.')
const index = z.int().min(0).describe('Place in the ledger, over all its incidents.')
const seconds = z.number().min(0)

export const incidentAnswer = z
  .strictObject({
    id,
    title: z.string().max(limits.titleLength).nullable().describe('Null where it was erased.'),
    description: z.string().max(limits.descriptionLength).nullable().describe('Null where it was erased.'),
    status: z.enum(statuses),
    severity: z.enum(severities),
    source: z.enum(sources),
    origin: z.string().describe('Which credential or integration brought it.'),
    originRef: z.string().nullable(),
    externalKey: z.string().nullable(),
    assignee: z.string().nullable(),
    labels: z.record(z.string(), z.string()),
    occurredAt: time.describe('When it began, as reported.'),
    reportedAt: time,
    updatedAt: time,
    recordedAt: time.describe('When the ledger recorded the last event.'),
    acknowledgedAt: time.nullable().describe('When it first left `new`.'),
    resolvedAt: time.nullable().describe('When it was last resolved, while it is.'),
    revision,
    eventCount: z.int().min(1),
    reopenCount: z.int().min(0),
    erased: z
      .array(z.enum(erasableFields))
      .optional()
      .describe('Which personal fields were erased, and are empty therefore; absent where none was.'),
  })
  .meta({ id: 'Incident', examples: [examples.incident] })

export const incidentsAnswer = z
  .strictObject({
    items: z.array(incidentAnswer),
    nextCursor: z.string().nullable().describe('Send it as `cursor` for the next page; null on the last.'),
  })
  .meta({ id: 'Incidents', examples: [{ items: [examples.incident], nextCursor: null }] })

const actor = givenActor.extend({
  name: givenActor.shape.name.nullable().describe('Null where it was erased.'),
})

const eventFields = {
  id: z.uuid(),
  incidentId: id,
  revision,
  type: z.enum(incidentEventTypes),
  at: time.describe('When it happened.'),
  recordedAt: time.describe('When the ledger recorded it.'),
  actor,
  correlationId: z.string(),
  data: z.record(z.string(), z.unknown()).describe('What happened; the fields depend on the type.'),
  erased: z
    .array(z.string())
    .optional()
    .describe(
      'Fields of `data` that were erased, and are null therefore, and `actor.name`; absent where none was.',
    ),
}

export const eventAnswer = z
  .strictObject({ index, ...eventFields })
  .meta({ id: 'Event', examples: [examples.event] })

export const accessKeyEventAnswer = z
  .strictObject({
    index,
    id: z.uuid(),
    accessKeyId: id.describe('Of the access key: the actor id of what is done with it.'),
    revision: z.int().min(0).describe('Dense from 0, one more for each event of the access key.'),
    type: z.enum(accessKeyEventTypes),
    at: eventFields.at,
    recordedAt: eventFields.recordedAt,
    actor: givenActor,
    correlationId: z.string(),
    data: eventFields.data,
  })
  .meta({ id: 'AccessKeyEvent', examples: [examples.accessKeyEvent] })

export const eventsAnswer = z
  .strictObject({
    items: z.array(z.union([eventAnswer, accessKeyEventAnswer])),
    nextCursor: z.string().nullable(),
  })
  .meta({
    id: 'Events',
    examples: [{ items: [examples.event, examples.accessKeyEvent], nextCursor: null }],
  })

export const historyAnswer = z
  .strictObject({
    items: z.array(
      z.strictObject({
        index: index.nullable().describe('Null until the read model has the event.'),
        ...eventFields,
      }),
    ),
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'History', examples: [{ items: [examples.event], nextCursor: null }] })

const side = z.strictObject({ revision, at: time })
export const differenceAnswer = z
  .strictObject({
    id,
    from: side,
    to: side,
    changes: z.array(
      z.strictObject({
        path: z.string().describe('JSON Pointer into the incident.'),
        from: z.unknown().describe('Absent for a label that was not there.'),
        to: z.unknown().describe('Absent for a label that is no more.'),
        revision: revision.describe('Of the last event in between that changed it.'),
        at: time,
        actor,
      }),
    ),
    notes: z.array(
      z.strictObject({ noteId: z.uuid(), text: z.string().nullable(), revision, at: time, actor }),
    ),
  })
  .meta({ id: 'Difference', examples: [examples.difference] })

const base64Hashes = z.array(z.string().describe('A SHA-256, in base64.'))

export const bundleAnswer = z
  .strictObject({
    format: z.literal('incident-ledger/bundle@1'),
    incidentId: id,
    note: z.string().describe('The signed note over the ledger.'),
    events: z.array(
      z.strictObject({
        index: z.int().min(0).describe('Its place in the ledger.'),
        entry: z.string().describe('The leaf: canonical JSON of the event as it is stored.'),
        proof: base64Hashes.describe('That the leaf is in the tree under the note, from the leaf upwards.'),
        disclosures: z
          .record(z.string(), z.strictObject({ salt: z.string(), value: z.unknown() }))
          .describe('What opens the commitments of the entry, by field; empty where its text was erased.'),
      }),
    ),
  })
  .meta({ id: 'ProofBundle' })

export const consistencyAnswer = z
  .strictObject({ from: z.int().min(0), to: z.int().min(0), proof: base64Hashes })
  .meta({ id: 'ConsistencyProof' })

export const checkpointsAnswer = z
  .strictObject({
    items: z.array(
      z.strictObject({
        size: z.int().min(0).nullable().describe('Events under the note; null where it is no note.'),
        note: z.string(),
      }),
    ),
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'Checkpoints' })

const durations = z.strictObject({
  count: z.int().min(0),
  p50Seconds: seconds.nullable(),
  p95Seconds: seconds.nullable(),
})
const counts = <const Keys extends readonly string[]>(keys: Keys) => z.record(z.enum(keys), z.int().min(0))

export const statsAnswer = z
  .strictObject({
    total: z.int().min(0),
    byStatus: counts(statuses),
    bySource: counts(sources),
    bySeverity: counts(severities),
    byDay: z
      .array(z.strictObject({ day: z.iso.date(), reported: z.int().min(0), resolved: z.int().min(0) }))
      .describe('UTC days with a report or a resolution, newest first, at most 366.'),
    timeToAcknowledge: durations.describe('From report to first leaving `new`.'),
    timeToResolve: durations.describe('From report to the last resolution, of those resolved or closed.'),
  })
  .meta({ id: 'Stats', examples: [examples.stats] })

const dependency = z.strictObject({
  state: z.enum(['ok', 'degraded', 'down', 'off']),
  reason: z.string().optional().describe('Only for callers with a valid access key.'),
})

export const healthAnswer = z
  .strictObject({
    live: z.literal(true),
    ready: z.boolean().describe('Whether to send requests here: commands or queries are answered.'),
    state: z
      .enum(['ok', 'degraded', 'down'])
      .describe(
        '`degraded`: something is not as it should be; `down`: neither commands nor queries are answered.',
      ),
    serves: z
      .strictObject({ commands: z.boolean(), queries: z.boolean() })
      .describe('What is answered: without the event store no commands, without Postgres no queries.'),
    version: z.string(),
    dependencies: z.strictObject({
      eventStore: dependency,
      postgres: dependency,
      cache: dependency,
      projector: dependency.extend({
        role: z.enum(['leading', 'standby', 'elsewhere', 'stopped']),
        unreadableEvents: z.int().min(0),
      }),
      notary: dependency
        .extend({
          role: z.enum(['leading', 'standby', 'elsewhere', 'stopped']),
          comparedEvents: z
            .int()
            .min(0)
            .nullable()
            .describe(
              'Events that this process, since it leads, has held against what was signed in the last comparison of all.',
            ),
          isCompared: z.boolean().describe('Whether all that there were have been, and none differs.'),
          comparedAt: time.nullable().describe('When this process last found that none of them differs.'),
        })
        .describe('Who signs the ledger.'),
      publisher: dependency
        .extend({ role: z.enum(['leading', 'standby', 'waiting', 'stopped']) })
        .optional()
        .describe('Of the events to Kafka, where this process publishes them.'),
      intake: dependency
        .extend({
          role: z.enum(['taking', 'paused', 'waiting', 'stopped']),
          taken: z.int().min(0).describe('Reports that this process has taken since its start.'),
          rejected: z.int().min(0).describe('Records that it has rejected.'),
        })
        .optional()
        .describe('Of the reports from Kafka, where this process takes them.'),
    }),
    lag: z.strictObject({
      announcedIndex: z.int().min(-1).describe('Index of the last event that queries show; -1 for none.'),
      secondsSinceBeat: seconds.nullable().describe('Since the leading projector was last heard of.'),
      signedEvents: z
        .int()
        .min(0)
        .nullable()
        .describe('Events under the newest signed note, as the leading notary knows it.'),
      unsignedEvents: z.int().min(0).nullable().describe('Events that no signed note is over yet.'),
      publishedIndex: z
        .int()
        .min(-1)
        .nullable()
        .optional()
        .describe('Index of the last event in Kafka, as the leading publisher knows it.'),
      unpublishedEvents: z
        .int()
        .min(0)
        .nullable()
        .optional()
        .describe('How many events queries show that Kafka does not have yet.'),
      waitingReports: z
        .int()
        .min(0)
        .nullable()
        .optional()
        .describe('How many records of the reports on Kafka no process has done with yet.'),
    }),
  })
  .meta({ id: 'Health', examples: [examples.health] })

export const problemBody = z
  .looseObject({
    type: z.string().describe('The page of this kind of problem.'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    correlationId: z.string().optional(),
    errors: z
      .array(z.strictObject({ path: z.string().describe('JSON Pointer (RFC 6901).'), message: z.string() }))
      .optional(),
  })
  .meta({ id: 'Problem', examples: [examples.problem] })
