import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AccessKeyCommand,
  type AccessKeyEvent,
  type AccessKeyId,
  type AccessKeyState,
  accessKeyEventData,
  accessKeyId,
  decideAccessKey,
  evolveAccessKey,
  isIssued,
  issueBody,
  keyRevisionBody,
  type Scope,
  scopes,
  standingAt,
  unissued,
} from '../../../src/aggregates/access-key/index.ts'

const id: AccessKeyId = accessKeyId.parse('018bcfe5-6800-7000-8000-0000000000aa')
const digest = 'a'.repeat(64)
const now = '2026-01-31T09:00:00.000Z'
const later = '2026-02-28T09:00:00.000Z'
const body = {
  name: 'pager',
  scopes: ['read', 'write'] as Scope[],
  expiresAt: null,
  requiresSignature: false,
}
const issue: AccessKeyCommand = { type: 'Issue', id, body, digest }
const issued: AccessKeyEvent = { type: 'AccessKeyIssued', data: { ...body, digest }, recordedAt: now }
const revoked: AccessKeyEvent = { type: 'AccessKeyRevoked', data: {}, recordedAt: now }

const stateOf = (...events: readonly AccessKeyEvent[]): AccessKeyState =>
  events.reduce<AccessKeyState>((state, event) => evolveAccessKey(id, state, event), unissued)
const events = (command: AccessKeyCommand, ...given: readonly AccessKeyEvent[]) => {
  const decision = decideAccessKey(command, stateOf(...given), now)
  return decision.ok ? decision.events : decision.refusal.code
}
const revise = (change: object): AccessKeyCommand => ({ type: 'Revise', body: keyRevisionBody.parse(change) })

describe('an access key', () => {
  test('is issued once', () => {
    expect(events(issue)).toEqual([issued])
    expect(events(issue, issued)).toBe('access-key-exists')
  })

  test('is renamed, given other scopes and an expiry, an event for each', () => {
    expect(events(revise({ name: 'pager 2', scopes: ['audit', 'read'], expiresAt: later }), issued)).toEqual([
      { type: 'AccessKeyRenamed', data: { from: 'pager', to: 'pager 2' }, recordedAt: now },
      {
        type: 'AccessKeyRescoped',
        data: { from: ['read', 'write'], to: ['read', 'audit'] },
        recordedAt: now,
      },
      { type: 'AccessKeyExpirySet', data: { from: null, to: later }, recordedAt: now },
    ])
  })

  test('that is asked to be what it is, records nothing', () => {
    expect(events(revise({ name: 'pager', scopes: ['write', 'read'], expiresAt: null }), issued)).toEqual([])
    expect(events({ type: 'Revoke' }, issued, revoked)).toEqual([])
  })

  test('is revoked for good', () => {
    expect(events({ type: 'Revoke' }, issued)).toEqual([revoked])
    expect(events(revise({ name: 'again' }), issued, revoked)).toBe('access-key-revoked')
  })

  test('that was never issued cannot be changed', () => {
    expect(events({ type: 'Revoke' })).toBe('access-key-not-found')
    expect(events(revise({ name: 'none' }))).toBe('access-key-not-found')
  })

  test('does not expire before it is issued', () => {
    expect(events({ ...issue, body: { ...body, expiresAt: now } })).toBe('expiry-in-past')
    expect(events(revise({ expiresAt: now }), issued)).toBe('expiry-in-past')
  })

  test('opens until it expires or is revoked', () => {
    const expiring = stateOf({ ...issued, data: { ...issued.data, expiresAt: later } })
    expect(isIssued(expiring) && [standingAt(expiring, now), standingAt(expiring, later)]).toEqual([
      'active',
      'expired',
    ])
    const gone = stateOf(issued, revoked)
    expect(isIssued(gone) && standingAt(gone, later)).toBe('revoked')
  })
})

test('a history that does not begin with the issue is none', () => {
  expect(() => stateOf(revoked)).toThrow(RangeError)
  expect(() => stateOf(issued, issued)).toThrow(RangeError)
})

const command = fc.oneof(
  fc.record({ type: fc.constant('Revoke' as const) }),
  fc.constant(issue),
  fc
    .record(
      {
        name: fc.constantFrom('one', 'two'),
        scopes: fc.uniqueArray(fc.constantFrom(...scopes), { minLength: 1 }),
        expiresAt: fc.constantFrom(null, later, now),
      },
      { requiredKeys: [] },
    )
    .filter((change) => Object.keys(change).length > 0)
    .map(revise),
)

test('whatever is asked, the events can be kept and read back, and asking again changes nothing', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 12 }), (commands) => {
      let state: AccessKeyState = unissued
      for (const asked of commands) {
        const decision = decideAccessKey(asked, state, now)
        if (!decision.ok) continue
        for (const event of decision.events) {
          expect(accessKeyEventData[event.type].parse(event.data)).toEqual(event.data)
          state = evolveAccessKey(id, state, event)
        }
        const again = decideAccessKey(asked, state, now)
        expect(again.ok ? again.events : []).toEqual([])
      }
    }),
  )
})

test.each([
  ['a blank name', { name: ' ', scopes: ['read'] }],
  ['no scope', { name: 'a', scopes: [] }],
  ['a scope twice', { name: 'a', scopes: ['read', 'read'] }],
  ['an unknown scope', { name: 'a', scopes: ['root'] }],
  ['a time without a zone', { name: 'a', scopes: ['read'], expiresAt: '2026-01-31T09:00:00' }],
  ['an unknown field', { name: 'a', scopes: ['read'], key: 'mine' }],
])('%s is refused', (_, wrong) => {
  expect(issueBody.safeParse(wrong).success).toBe(false)
})
