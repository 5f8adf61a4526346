/** A ledger of incidents that live their lives, made in memory. */
import { randomUUID } from 'node:crypto'
import {
  decide,
  evolve,
  type IncidentId,
  type IncidentState,
  instantOf,
  severities,
  sources,
  type TimelessCommand,
  unreported,
} from '../src/aggregates/incident/index.ts'
import type { LedgerRecord } from '../src/ledger/event.ts'

const openAtATime = 500
const startMs = Date.UTC(2026, 0, 1)

/** Incidents of five events each, five hundred of them open at a time; texts of a few hundred characters. */
export function syntheticHistory(count: number): readonly LedgerRecord[] {
  const records: LedgerRecord[] = []
  while (records.length < count) {
    let states = Array.from({ length: openAtATime }, () => ({
      id: randomUUID() as IncidentId,
      state: initially,
    }))
    for (const step of lifeOf) {
      states = states.map(({ id, state }) => {
        const { record, next } = happened(id, state, step(records.length), records.length)
        records.push(record)
        return { id, state: next }
      })
    }
  }
  return records.slice(0, count)
}

type Command = TimelessCommand extends infer C ? (C extends TimelessCommand ? Omit<C, 'id'> : never) : never

const initially: IncidentState = unreported
const words =
  'the checkout of region answers no request since node lost its disk and queue grows while retries fail'.split(
    ' ',
  )
const wordAt = (seed: number) => `${words[seed % words.length]}${seed % 13 === 0 ? seed % 5_000 : ''}`
const textOf = (seed: number, length: number) =>
  Array.from({ length }, (_, n) => wordAt(seed * 31 + n * n)).join(' ')

const lifeOf: readonly ((seed: number) => Command)[] = [
  (seed) => ({
    type: 'Report',
    origin: `key-${seed % 20}`,
    body: {
      title: textOf(seed, 6),
      description: textOf(seed, 40),
      severity: severities[seed % severities.length] ?? 'medium',
      source: sources[seed % sources.length] ?? 'operator',
      assignee: `Person ${seed % 200}`,
      labels: { host: `host-${seed % 1_000}`, region: `region-${seed % 7}` },
    },
  }),
  () => ({ type: 'ChangeStatus', body: { status: 'in_progress' } }),
  (seed) => ({ type: 'AddNote', noteId: randomUUID(), text: textOf(seed, 20) }),
  (seed) => ({ type: 'ChangeStatus', body: { status: 'resolved', reason: textOf(seed, 8) } }),
  () => ({ type: 'ChangeStatus', body: { status: 'closed' } }),
]

function happened(id: IncidentId, state: IncidentState, command: Command, turn: number) {
  const at = instantOf(startMs + turn * 1_000)
  const decision = decide(
    { ...(command.type === 'Report' ? { ...command, id } : command), at, recordedAt: at },
    state,
  )
  const [event] = decision.ok ? decision.events : []
  if (event === undefined) throw new Error(`${command.type} changed nothing`)
  const next = evolve(id, state, event)
  const place = BigInt(turn + 1) * 500n
  const record: LedgerRecord = {
    kind: 'incident',
    id: randomUUID(),
    stream: `incident-${id}`,
    revision: next.revision,
    position: { commit: place, prepare: place },
    incidentId: id,
    keyId: 'a key.0',
    event,
    metadata: {
      $correlationId: randomUUID(),
      actor: { kind: 'access-key', id: `key-${turn % 20}`, name: `Person ${turn % 20}` },
      at,
      recordedAt: at,
      schemaVersion: 1,
    },
  }
  return { record, next }
}
