import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  allowedFrom,
  decide,
  evolve,
  type Incident,
  type IncidentCommand,
  type IncidentEvent,
  type IncidentState,
  type Instant,
  incidentEventData,
  isReported,
  limits,
  type Severity,
  type Status,
  severities,
  sources,
  statuses,
  titleFrom,
  unreported,
} from '../../../src/aggregates/incident/index.ts'
import { fold, id, minute } from './specification.ts'

it('evolve takes everything that decide writes, and the schemas take it too', () => {
  fc.assert(
    fc.property(commands(), (all) => {
      run(all, (_, event) => {
        expect(incidentEventData[event.type].safeParse(event.data)).toMatchObject({
          success: true,
          data: event.data,
        })
      })
    }),
  )
})

it('revisions are dense from 0 and neither time line runs backwards', () => {
  fc.assert(
    fc.property(commands(), (all) => {
      let last: Incident | undefined
      run(all, (incident, { at, recordedAt }) => {
        expect(incident.revision).toBe((last?.revision ?? -1) + 1)
        expect(incident.eventCount).toBe(incident.revision + 1)
        expect(at <= recordedAt).toBe(true)
        expect(at >= (last?.updatedAt ?? '') && recordedAt >= (last?.recordedAt ?? '')).toBe(true)
        expect(incident).toMatchObject({ updatedAt: at, recordedAt, reportedAt: last?.reportedAt ?? at })
        last = incident
      })
    }),
  )
})

it('a status is reached only from one that allows it', () => {
  fc.assert(
    fc.property(commands(), (all) => {
      let status: Status | undefined
      run(all, (incident) => {
        if (status === undefined) expect(incident.status).toBe('new')
        else if (incident.status !== status) expect(allowedFrom(status)).toContain(incident.status)
        status = incident.status
      })
    }),
  )
})

it('the same command again appends nothing, but for a note', () => {
  fc.assert(
    fc.property(commands(), command(), (all, last) => {
      fc.pre(last.type !== 'AddNote' && last.type !== 'Report')
      const state = run(all)
      const first = decide(last, state)
      fc.pre(first.ok && isReported(state))
      expect(decide(last, fold(first.ok ? first.events : [], state))).toEqual({ ok: true, events: [] })
    }),
  )
})

it('folding in two parts is folding at once', () => {
  fc.assert(
    fc.property(commands(), fc.nat(), (all, cut) => {
      const history: IncidentEvent[] = []
      run(all, (_, event) => history.push(event))
      const at = history.length === 0 ? 0 : cut % history.length
      expect(fold(history.slice(at), fold(history.slice(0, at)))).toEqual(fold(history))
    }),
  )
})

it('agrees with a plain model after every command', () => {
  fc.assert(
    fc.property(commands(), (all) => {
      const model = plainModel()
      let state: IncidentState = unreported
      for (const one of all) {
        const decision = decide(one, state)
        expect(decision.ok).toBe(model.takes(one))
        state = decision.ok ? fold(decision.events, state) : state
        expect(isReported(state) ? plainly(state) : undefined).toEqual(model.incident())
      }
    }),
    { numRuns: 300 },
  )
})

/** The commands in turn, as a single writer would issue them; what is refused changes nothing. */
function run(
  all: readonly IncidentCommand[],
  seen?: (incident: Incident, event: IncidentEvent) => void,
): IncidentState {
  let state: IncidentState = unreported
  for (const one of all) {
    const decision = decide(one, state)
    for (const event of decision.ok ? decision.events : []) {
      const incident: Incident = evolve(id, state, event)
      seen?.(incident, event)
      state = incident
    }
  }
  return state
}

interface Plain {
  status: Status
  title: string | null
  description: string | null
  severity: Severity
  assignee: string | null
  labels: Record<string, string>
  reopenCount: number
}

function plainly({ status, title, description, severity, assignee, labels, reopenCount }: Incident): Plain {
  return { status, title, description, severity, assignee, labels, reopenCount }
}

/** An incident as one would write it without events: a record that is overwritten. */
function plainModel() {
  const next = {
    new: 'in_progress on_hold resolved',
    in_progress: 'on_hold resolved',
    on_hold: 'in_progress resolved',
    resolved: 'in_progress closed',
    closed: '',
  }
  let incident: Plain | undefined
  function takes(one: IncidentCommand): boolean {
    if (one.type === 'Report') {
      if (incident) return false
      const { description, title = titleFrom(description), severity, assignee, labels } = one.body
      incident = {
        status: 'new',
        title,
        description,
        severity,
        assignee,
        labels: { ...labels },
        reopenCount: 0,
      }
      return true
    }
    if (!incident) return false
    if (one.type === 'AddNote') return true
    if (one.type === 'ErasePersonalData') {
      incident = { ...incident, title: null, description: null, assignee: null, labels: {} }
      return true
    }
    if (one.type === 'ChangeStatus') {
      const to = one.body.status
      if (to === incident.status) return true
      if (!next[incident.status].split(' ').includes(to)) return false
      if (incident.status === 'resolved' && to === 'in_progress') incident.reopenCount += 1
      incident.status = to
      return true
    }
    const { labels: patch = {}, title, description, severity, assignee } = one.body
    const revised = {
      ...incident,
      title: title ?? incident.title,
      description: description ?? incident.description,
      severity: severity ?? incident.severity,
      assignee: assignee === undefined ? incident.assignee : assignee,
      labels: { ...incident.labels },
    }
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) delete revised.labels[key]
      else revised.labels[key] = value
    }
    const changes = JSON.stringify(sorted(revised)) !== JSON.stringify(sorted(incident))
    if (changes && (incident.status === 'closed' || Object.keys(revised.labels).length > limits.labels))
      return false
    incident = revised
    return true
  }
  return { takes, incident: () => incident }
}

function sorted(plain: Plain) {
  return { ...plain, labels: Object.entries(plain.labels).sort() }
}

function commands(): fc.Arbitrary<readonly IncidentCommand[]> {
  return fc
    .tuple(report(), fc.array(command(), { maxLength: 40, size: 'max' }))
    .map(([first, rest]) => [first, ...rest])
}

function command(): fc.Arbitrary<IncidentCommand> {
  return fc.oneof(
    { weight: 6, arbitrary: change() },
    { weight: 4, arbitrary: revision() },
    { weight: 1, arbitrary: note() },
    { weight: 1, arbitrary: report() },
  )
}

/** Few values, so that commands often ask for what already is; times anywhere, so that they often run backwards. */
const time = (): fc.Arbitrary<{ at: Instant; recordedAt: Instant }> =>
  fc
    .tuple(fc.nat(60), fc.nat(60))
    .map(([at, recordedAt]) => ({ at: minute(at), recordedAt: minute(recordedAt) }))
const words = () => fc.constantFrom('Disk full', 'Gateway down', 'Checkout\nfails')
const labelKey = () => fc.integer({ min: 0, max: 40 }).map((count) => `label.${count}`)
const assignee = () => fc.constantFrom('Group 7', 'Group 9', null)

function report(): fc.Arbitrary<IncidentCommand> {
  const body = fc.record(
    {
      title: fc.constantFrom('Outage', 'Slow'),
      description: words(),
      severity: fc.constantFrom(...severities),
      source: fc.constantFrom(...sources),
      assignee: assignee(),
      labels: fc.dictionary(labelKey(), fc.constantFrom('x', 'y'), {
        maxKeys: limits.labels,
        size: 'max',
        noNullPrototype: true,
      }),
    },
    { requiredKeys: ['description', 'severity', 'source', 'assignee', 'labels'], noNullPrototype: true },
  )
  return fc
    .tuple(body, time())
    .map(([body, time]) => ({ type: 'Report', id, body, origin: 'access-key:7', ...time }))
}

function change(): fc.Arbitrary<IncidentCommand> {
  return fc
    .tuple(fc.constantFrom(...statuses), time())
    .map(([status, time]) => ({ type: 'ChangeStatus', body: { status }, ...time }))
}

function revision(): fc.Arbitrary<IncidentCommand> {
  const body = fc.record(
    {
      title: fc.constantFrom('Outage', 'Slow'),
      description: words(),
      severity: fc.constantFrom(...severities),
      assignee: assignee(),
      labels: fc.dictionary(labelKey(), fc.constantFrom('x', 'y', null), {
        maxKeys: 40,
        size: 'max',
        noNullPrototype: true,
      }),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  return fc.tuple(body, time()).map(([body, time]) => ({ type: 'Revise', body, ...time }))
}

function note(): fc.Arbitrary<IncidentCommand> {
  return fc
    .tuple(fc.uuid(), time())
    .map(([noteId, time]) => ({ type: 'AddNote', noteId, text: 'Seen.', ...time }))
}
