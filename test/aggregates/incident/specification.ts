/** given / when / then over the incident's decide and evolve, after Emmett's DeciderSpecification. */
import { expect } from 'vitest'
import {
  decide,
  evolve,
  type Incident,
  type IncidentCommand,
  type IncidentEvent,
  type IncidentId,
  type IncidentState,
  type Instant,
  instantOf,
  isReported,
  type Refusal,
  type Status,
  unreported,
} from '../../../src/aggregates/incident/index.ts'

export const id = '0197a5c0-0000-7000-8000-000000000001' as IncidentId

/** 2026-03-01T09:00:00Z and so many minutes. */
export function minute(count: number): Instant {
  return instantOf(Date.UTC(2026, 2, 1, 9, count))
}

/** Both time lines at the same minute, as for every command that is no import. */
export function during(count: number) {
  return { at: minute(count), recordedAt: minute(count) }
}

export const reported: IncidentEvent = {
  type: 'IncidentReported',
  data: {
    title: 'Checkout fails',
    description: 'Checkout fails with a 502 for every second customer.',
    severity: 'medium',
    source: 'operator',
    origin: 'access-key:7',
    assignee: null,
    labels: { service: 'checkout' },
    occurredAt: minute(-5),
  },
  ...during(0),
}

export function moved(from: Status, to: Status, count: number): IncidentEvent {
  return { type: 'IncidentStatusChanged', data: { from, to }, ...during(count) }
}

/** A shortest history that ends in each status, at minute 0, 1 or 2. */
export const historyTo: Readonly<Record<Status, readonly IncidentEvent[]>> = {
  new: [reported],
  in_progress: [reported, moved('new', 'in_progress', 1)],
  on_hold: [reported, moved('new', 'on_hold', 1)],
  resolved: [reported, moved('new', 'resolved', 1)],
  closed: [reported, moved('new', 'resolved', 1), moved('resolved', 'closed', 2)],
}

export function fold(events: readonly IncidentEvent[], from: IncidentState = unreported): IncidentState {
  return events.reduce((state: IncidentState, event) => evolve(id, state, event), from)
}

export function incidentAfter(events: readonly IncidentEvent[]): Incident {
  const state = fold(events)
  if (!isReported(state)) throw new Error('this history is empty')
  return state
}

export function given(...history: readonly IncidentEvent[]) {
  return {
    when(command: IncidentCommand) {
      const decision = decide(command, fold(history))
      return {
        thenAppends(...events: readonly IncidentEvent[]) {
          expect(decision).toEqual({ ok: true, events })
        },
        thenNothing() {
          expect(decision).toEqual({ ok: true, events: [] })
        },
        thenRefused(refusal: Refusal) {
          expect(decision).toEqual({ ok: false, refusal })
        },
      }
    },
  }
}
