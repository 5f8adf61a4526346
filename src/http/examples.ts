/** The one story that the examples of the OpenAPI document tell. */
import type { ReportBody, RevisionBody, StatusBody } from '../aggregates/incident/index.ts'
import type { ListedAccessKeyEvent, ListedEvent } from '../projections/read-model.ts'

export const incidentId = '01980d5e-5c00-7000-8000-5f0e1c2d3a4b'

export const report = {
  title: 'Checkout answers 502',
  description: 'Since the 14:00 deployment one request in five to /checkout answers 502.',
  severity: 'high',
  source: 'monitoring',
  externalKey: 'alert-checkout-5xx',
  assignee: 'payments-on-call',
  labels: { service: 'checkout', region: 'eu-1' },
  occurredAt: '2026-01-31T14:02:00.000Z',
} satisfies { [Field in keyof ReportBody]: unknown }

export const statusChange = {
  status: 'in_progress',
  reason: 'Rolling the deployment back.',
} satisfies StatusBody

export const revision = {
  severity: 'critical',
  labels: { region: null, team: 'payments' },
} satisfies RevisionBody

export const erasure = { reason: 'Request 2026-17 of a customer.' }
export const note = { text: 'Half of the pods are back on the old version.' }

const key = { kind: 'access-key', id: 'x-access-key', name: 'X_ACCESS_KEY' } as const

export const incident = {
  id: incidentId,
  ...report,
  status: 'new',
  origin: 'access-key:x-access-key',
  originRef: null,
  reportedAt: '2026-01-31T14:03:10.000Z',
  updatedAt: '2026-01-31T14:03:10.000Z',
  recordedAt: '2026-01-31T14:03:10.000Z',
  acknowledgedAt: null,
  resolvedAt: null,
  revision: 0,
  eventCount: 1,
  reopenCount: 0,
}

export const event = {
  index: 41,
  id: 'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c11',
  incidentId,
  revision: 1,
  type: 'IncidentStatusChanged',
  at: '2026-01-31T14:09:30.000Z',
  recordedAt: '2026-01-31T14:09:30.000Z',
  actor: key,
  correlationId: '6a4f2d0e-4c39-4e0a-8a55-1d1f7c0b9e21',
  data: { from: 'new', to: 'in_progress', reason: statusChange.reason },
} satisfies { [Field in keyof ListedEvent]: unknown }

export const accessKeyEvent = {
  index: 40,
  id: 'f3a8c1d2-7b64-4c0e-9a51-6d2e8f0b1c73',
  accessKeyId: '0193cf5e-5c00-7000-8000-2b1c7d9e4f60',
  revision: 1,
  type: 'AccessKeyRescoped',
  at: '2026-01-31T14:08:00.000Z',
  recordedAt: '2026-01-31T14:08:00.000Z',
  actor: key,
  correlationId: '0d9a3b7c-52ee-4c1f-8f04-93b1d7a6e5c2',
  data: { from: ['read', 'write'], to: ['read'] },
} satisfies { [Field in keyof ListedAccessKeyEvent]: unknown }

export const difference = {
  id: incidentId,
  from: { revision: 0, at: '2026-01-31T14:03:10.000Z' },
  to: { revision: 1, at: '2026-01-31T14:09:30.000Z' },
  changes: [
    {
      path: '/status',
      from: 'new',
      to: 'in_progress',
      revision: 1,
      at: '2026-01-31T14:09:30.000Z',
      actor: key,
    },
  ],
  notes: [],
}

export const stats = {
  total: 3,
  byStatus: { new: 1, in_progress: 1, on_hold: 0, resolved: 0, closed: 1 },
  bySource: { operator: 1, monitoring: 2, partner: 0 },
  bySeverity: { critical: 1, high: 1, medium: 1, low: 0 },
  byDay: [{ day: '2026-01-31', reported: 3, resolved: 1 }],
  timeToAcknowledge: { count: 2, p50Seconds: 380, p95Seconds: 612.5 },
  timeToResolve: { count: 1, p50Seconds: 5_400, p95Seconds: 5_400 },
}

export const health = {
  live: true,
  ready: true,
  state: 'ok',
  serves: { commands: true, queries: true },
  version: '0.1.0',
  dependencies: {
    eventStore: { state: 'ok' },
    postgres: { state: 'ok' },
    cache: { state: 'off' },
    projector: { state: 'ok', role: 'leading', unreadableEvents: 0 },
    notary: {
      state: 'ok',
      role: 'leading',
      comparedEvents: 30,
      isCompared: true,
      comparedAt: '2026-02-01T12:00:00.000Z',
    },
  },
  lag: { announcedIndex: 41, secondsSinceBeat: 0.2, signedEvents: 42, unsignedEvents: 0 },
}

export const accessKeyIssue = { name: 'payments pager', scopes: ['read', 'write'] }

export const accessKey = {
  id: '01980d5e-5c00-7000-8000-0a1b2c3d4e5f',
  name: 'payments pager',
  scopes: ['read', 'write'],
  status: 'active',
  expiresAt: null,
  requiresSignature: false,
  issuedAt: '2026-01-31T08:00:00.000Z',
  updatedAt: '2026-01-31T08:00:00.000Z',
}

export const issuedAccessKey = {
  ...accessKey,
  key: 'An-access-key-of-32-characters..',
  signingSecret: 'a-secret-of-43-characters',
}

export const problem = {
  type: '/problems/illegal-transition',
  title: 'The status cannot change like that',
  status: 409,
  detail: 'An incident that is new cannot become closed.',
  from: 'new',
  to: 'closed',
  allowed: ['in_progress', 'on_hold', 'resolved'],
  correlationId: '6a4f2d0e-4c39-4e0a-8a55-1d1f7c0b9e21',
}
