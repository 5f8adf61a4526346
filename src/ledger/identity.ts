/**
 * Identities that follow from what they identify, so that the ledger itself refuses doubles. Each is a UUIDv5 (RFC 9562,
 * section 5.5) over a JSON array, in a namespace of its own: no two inputs meet, neither of one kind nor of two.
 */
import { v5, v7 } from 'uuid'
import type { IncidentId } from '../aggregates/incident/index.ts'
import { randomness } from './randomness.ts'

const uuidBytes = 16

const namespaces = {
  reportedIncident: 'b3c4af49-58f8-482a-9c38-9c5c4429a314',
  chainLink: '195226cc-2dcc-4b5e-a717-3bf303252c56',
  request: '0cbdbd96-95d9-45e5-8ac7-6d2637693de6',
  importedStep: '46c5a143-25bf-4742-b126-5eb480fa5ec2',
  checkpoint: '5e6f7bb5-1c3b-4a3e-8a55-0d7a2f5f0c19',
} as const

function derived(kind: keyof typeof namespaces, ...parts: readonly (string | number)[]): string {
  return v5(JSON.stringify(parts), namespaces[kind])
}

/** For a report that nothing else identifies. Time-ordered. */
export function newIncidentId(epochMs: number): IncidentId {
  return v7({ msecs: epochMs, random: randomness(uuidBytes) }) as IncidentId // lower-case UUID, as the brand promises
}

/** The incident that the report with this key creates, if it creates one. */
export function reportedIncidentId(scope: string, key: string): IncidentId {
  return derived('reportedIncident', scope, key) as IncidentId // as above
}

/** Link `n` (from 0) of the chain of incidents that an origin reports under one external key. */
export function chainLinkId(origin: string, externalKey: string, n: number): IncidentId {
  return derived('chainLink', origin, externalKey, n) as IncidentId // as above
}

/** A request with a key: the mark in the events that it causes, and the stream in which it is pinned. */
export function requestId(scope: string, key: string): string {
  return derived('request', scope, key)
}

/** One step of an imported incident: the mark in the events that it becomes. */
export function importedStepId(origin: string, externalKey: string, ordinal: number): string {
  return derived('importedStep', origin, externalKey, ordinal)
}

/** The event that keeps the signed note over the first `size` events of the ledger called `origin`. @param root in base64. */
export function checkpointId(origin: string, size: number, root: string): string {
  return derived('checkpoint', origin, size, root)
}
