import { hash, randomInt, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import { v7 } from 'uuid'
import { z } from 'zod'
import {
  type AccessKey,
  type AccessKeyCommand,
  type AccessKeyEvent,
  type AccessKeyId,
  type AccessKeyState,
  accessKeyEventData,
  decideAccessKey,
  evolveAccessKey,
  isIssued,
  unissued,
} from '../aggregates/access-key/index.ts'
import { instantOf } from '../aggregates/incident/index.ts'
import { accessKeySchemaVersion, saidOfAccessKey } from './access-key-record.ts'
import { append, jittered } from './append.ts'
import { LedgerError } from './errors.ts'
import { eventMetadata } from './event.ts'
import type { EventStore, ProposedEvent, StoredEvent } from './event-store.ts'
import type { AccessKeyRecord, AccessKeyRegister, KeyContext, Keyring } from './ledger.ts'
import { accessKeyPrefix, accessKeyStream } from './streams.ts'
import { followed } from './subscription.ts'

export interface RegisterTerms {
  readonly keyring: Pick<Keyring, 'mac'>
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number
  readonly appendDeadlineMs: number
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly closing: AbortSignal
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** 190 bits, and as many characters as PagerDuty gives a routing key. */
const keyLength = 32
/** A key is changed by hand: its history stays short, and has a bound all the same. */
const mostEvents = 10_000
const mostAttempts = 20
const signingPurpose = 'request-signing'
const conflictPauseMs = 10

/** Access keys in the event store, each a stream of its own. */
export function openAccessKeyRegister(store: EventStore, terms: RegisterTerms): AccessKeyRegister {
  return {
    issue: async (body, context) => {
      const key = newKey()
      const id = v7({ msecs: terms.clock() }) as AccessKeyId // lower-case UUID, as the brand promises
      const command = { type: 'Issue', id, body, digest: accessKeyDigest(key) } as const
      const accessKey = await decideAndAppend(id, command, context)
      return { accessKey, key, signingSecret: terms.keyring.mac(signingPurpose, id).toString('base64url') }
    },
    revise: (id, body, context) => decideAndAppend(id, { type: 'Revise', body }, context),
    revoke: (id, context) => decideAndAppend(id, { type: 'Revoke' }, context),
    follow: async function* (options) {
      const events = followed(
        store,
        [accessKeyPrefix],
        { ...options, after: undefined },
        terms.log,
        terms.closing,
      )
      for await (const { events: stored, caughtUp } of events) {
        yield { records: stored.flatMap((event) => readable(event)), caughtUp }
      }
    },
  }

  /** What is decided on was read just before, and is appended behind that only. */
  async function decideAndAppend(
    id: AccessKeyId,
    command: AccessKeyCommand,
    context: KeyContext,
  ): Promise<AccessKey> {
    const until = performance.now() + terms.appendDeadlineMs
    for (let attempts = 1; attempts <= mostAttempts; attempts += 1) {
      const state = command.type === 'Issue' ? unissued : await read(id)
      const recordedAt = later(instantOf(terms.clock()), state)
      const decision = decideAccessKey(command, state, recordedAt)
      if (!decision.ok) throw new LedgerError(decision.refusal)
      const after = decision.events.reduce<AccessKeyState>(
        (before, event) => evolveAccessKey(id, before, event),
        state,
      )
      if (!isIssued(after)) throw new LedgerError({ code: 'access-key-not-found' })
      if (decision.events.length === 0) return after
      const proposed = decision.events.map((event) => proposedEvent(event, context))
      const revision = isIssued(state) ? state.revision : -1
      const appended = await append(store, accessKeyStream(id), proposed, revision, until)
      if (appended !== 'conflict') return after
      await pause(jittered(conflictPauseMs))
    }
    throw new LedgerError({ code: 'contended' })
  }

  async function read(id: AccessKeyId): Promise<AccessKeyState> {
    const stream = accessKeyStream(id)
    const stored = await store.readStream(stream, { maxCount: mostEvents }, terms.appendDeadlineMs)
    return stored.reduce<AccessKeyState>((state, event, revision) => {
      const record = recordOf(event)
      if (typeof record === 'string') throw new LedgerError({ code: 'history-unreadable', stream, revision })
      return evolveAccessKey(id, state, record.event)
    }, unissued)
  }

  function readable(event: StoredEvent): AccessKeyRecord[] {
    const record = recordOf(event)
    if (typeof record !== 'string') return [record]
    terms.log.warn(
      { stream: event.stream, revision: event.revision, reason: record },
      'an access key event cannot be read',
    )
    return []
  }
}

/** SHA-256 of a key, in hex: all that is ever kept of it. */
export function accessKeyDigest(key: string): string {
  return hash('sha256', key, 'hex')
}

/** What signatures under this access key may be made with: text, of whose bytes the HMAC key is made. One for each known secret. */
export function signingSecretsOf(keyring: Pick<Keyring, 'everyMac'>, keyId: string): readonly string[] {
  return keyring.everyMac(signingPurpose, keyId).map((mac) => mac.toString('base64url'))
}

function newKey(): string {
  return Array.from({ length: keyLength }, () => base62[randomInt(base62.length)]).join('')
}

function proposedEvent({ type, data, recordedAt }: AccessKeyEvent, context: KeyContext): ProposedEvent {
  const { actor, correlationId, causationId, traceparent } = context
  return {
    id: randomUUID(),
    type,
    data: accessKeyEventData[type].parse(data),
    metadata: eventMetadata.parse({
      $correlationId: correlationId,
      ...(causationId !== undefined && { $causationId: causationId }),
      actor,
      at: recordedAt,
      recordedAt,
      schemaVersion: accessKeySchemaVersion,
      ...(traceparent !== undefined && { traceparent }),
    }),
  }
}

const storedMetadata = z.looseObject({
  schemaVersion: z.literal(accessKeySchemaVersion),
  recordedAt: z.string(),
})

/** What the event says, or why it cannot be read. */
function recordOf(stored: StoredEvent): AccessKeyRecord | string {
  const said = saidOfAccessKey(stored)
  if (typeof said === 'string') return said
  const about = storedMetadata.safeParse(stored.metadata)
  if (!about.success) return 'its metadata are not of the expected shape, or of a newer version'
  const { keyId, type, data } = said
  const event = { type, data, recordedAt: about.data.recordedAt } as AccessKeyEvent // the schema was chosen by the type
  return { keyId, event, revision: stored.revision }
}

/** A clock that was set back does not make a key's history run backwards. */
function later(now: string, state: AccessKeyState): string {
  return isIssued(state) && state.updatedAt > now ? state.updatedAt : now
}
