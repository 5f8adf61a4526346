import { randomUUID } from 'node:crypto'
import * as fc from 'fast-check'
import type { AccessKeyId } from '../../src/aggregates/access-key/index.ts'
import {
  decide,
  evolve,
  type Incident,
  type IncidentId,
  type IncidentState,
  instantOf,
  isReported,
  type ReportBody,
  severities,
  sources,
  statuses,
  type TimelessCommand,
  unreported,
} from '../../src/aggregates/incident/index.ts'
import type { IncidentRecord, KeyRecord } from '../../src/ledger/event.ts'
import type { Unplaced } from './in-memory-ledger.ts'

/** A new incident's id. */
export function newIncidentId(): IncidentId {
  return randomUUID() as IncidentId // has the form of its brand
}

export interface Writer {
  /**
   * The records that the command leads to, recorded after all earlier ones.
   * @param agoMs what an import brings happened so long before it is recorded.
   */
  readonly write: (id: IncidentId, command: Command, agoMs?: number) => Unplaced[]
  readonly stateOf: (id: IncidentId) => IncidentState
  /** One that was reported. */
  readonly incident: (id: IncidentId) => Incident
}

/** A command without the incident's id, which `write` is told. */
export type Command = TimelessCommand extends infer C
  ? C extends TimelessCommand
    ? Omit<C, 'id'>
    : never
  : never

export function report(body: Partial<ReportBody> = {}): Command {
  return {
    type: 'Report',
    origin: 'test',
    body: {
      description: 'something broke',
      severity: 'medium',
      source: 'operator',
      assignee: null,
      labels: {},
      ...body,
    },
  }
}

/** Decides commands as the ledger would, each at its own millisecond or, where `stepMs` is 0, at the same. */
export function writer({ startMs = Date.UTC(2026, 0, 1), stepMs = 1_000 } = {}): Writer {
  const states = new Map<IncidentId, IncidentState>()
  let clockMs = startMs
  return {
    stateOf: (id) => states.get(id) ?? unreported,
    incident(id) {
      const state = states.get(id) ?? unreported
      if (!isReported(state)) throw new Error(`${id} was not reported`)
      return state
    },
    write(id, given, agoMs = 0) {
      const command = given.type === 'Report' ? { ...given, id } : given
      clockMs += stepMs
      const recordedAt = instantOf(clockMs)
      const at = instantOf(clockMs - agoMs)
      const decision = decide({ ...command, at, recordedAt }, states.get(id) ?? unreported)
      if (!decision.ok) return []
      return decision.events.map((event): Omit<IncidentRecord, 'position'> => {
        const before = states.get(id) ?? unreported
        const revision = isReported(before) ? before.revision + 1 : 0
        states.set(id, evolve(id, before, event))
        return {
          kind: 'incident',
          id: randomUUID(),
          stream: `incident-${id}`,
          revision,
          incidentId: id,
          keyId: 'a key.0',
          event,
          metadata: {
            $correlationId: randomUUID(),
            actor: { kind: 'access-key', id: `key-${revision % 3}`, name: 'Ada' },
            at: event.at,
            recordedAt: event.recordedAt,
            schemaVersion: 1,
          },
        }
      })
    },
  }
}

const words = fc.constantFrom(
  'disk',
  'full',
  'node',
  'down',
  'Łódź',
  'ERR_42',
  'slow',
  "o'clock",
  '100%',
  'über',
)
const text = fc.array(words, { minLength: 1, maxLength: 6 }).map((each) => each.join(' '))
const labels = fc.dictionary(fc.constantFrom('team', 'host', 'a', 'Z'), words, { maxKeys: 3 })
const assignee = fc.constantFrom('ada', 'grace', 'edsger', null)

/** A report's body. */
export const arbitraryReport: fc.Arbitrary<Command> = fc.record({
  type: fc.constant('Report' as const),
  origin: fc.constantFrom('default', 'kafka'),
  body: fc.record({
    description: text,
    severity: fc.constantFrom(...severities),
    source: fc.constantFrom(...sources),
    assignee,
    labels,
  }),
})

export const arbitraryChange: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('ChangeStatus' as const),
      body: fc.record({ status: fc.constantFrom(...statuses) }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('Revise' as const),
      body: fc.record(
        { title: text, description: text, severity: fc.constantFrom(...severities), assignee, labels },
        { requiredKeys: [] },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('AddNote' as const), noteId: fc.uuid(), text }) },
)

/** Nothing for what is recorded as it happens; or up to a minute, as an import of the past has it. */
const agoMs = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.nat(60).map((seconds) => seconds * 1_000) },
)

/**
 * What happened to a few incidents, interleaved: a number for the incident, and a report and a change for it. Some of it is recorded
 * later than it happened, and at times several things in the same millisecond.
 */
export const arbitraryHistory = fc
  .tuple(
    fc.array(fc.record({ incident: fc.nat(6), report: arbitraryReport, change: arbitraryChange, agoMs }), {
      minLength: 1,
      maxLength: 60,
    }),
    fc.constantFrom(1_000, 1_000, 0),
  )
  .map(([steps, stepMs]) => {
    const ids = Array.from({ length: 7 }, newIncidentId)
    const { write, stateOf } = writer({ stepMs })
    return steps.flatMap(({ incident, report, change, agoMs }) => {
      const id = ids[incident] ?? newIncidentId()
      return write(id, isReported(stateOf(id)) ? change : report, agoMs)
    })
  })

/** An event of another aggregate: a new access key. */
export function keyIssued(recordedAt = instantOf(Date.UTC(2026, 0, 1))): Omit<KeyRecord, 'position'> {
  const keyId = randomUUID() as AccessKeyId // has the form of its brand
  const data = {
    name: 'pager',
    digest: 'd'.repeat(64),
    scopes: ['read' as const],
    expiresAt: null,
    requiresSignature: false,
  }
  const actor = { kind: 'access-key', id: 'x-access-key', name: 'X_ACCESS_KEY' } as const
  return {
    kind: 'access-key',
    id: randomUUID(),
    stream: `accessKey-${keyId}`,
    revision: 0,
    keyId,
    event: { type: 'AccessKeyIssued', data, recordedAt },
    metadata: { $correlationId: 'a request', actor, at: recordedAt, recordedAt, schemaVersion: 1 },
  }
}

/** An event that a later version of the program may have written. */
export function unreadable(stream: string, revision: number): Unplaced {
  const reason = 'a type of the future'
  return { kind: 'unreadable', id: randomUUID(), stream, revision, type: 'IncidentForetold', reason }
}

/** A history with events of other aggregates in between, and some of an incident's own that cannot be read. */
export const arbitraryRecords: fc.Arbitrary<readonly Unplaced[]> = fc
  .tuple(arbitraryHistory, fc.infiniteStream(fc.nat(20)))
  .map(([history, dice]) =>
    history.flatMap((record) => {
      const roll = dice.next().value
      if (roll === 0) return [unreadable(record.stream, record.revision)]
      return roll < 3 ? [keyIssued(), record] : [record]
    }),
  )
