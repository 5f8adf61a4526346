/** The names of the event store's streams, and which of them are the ledger. */
import type { AccessKeyId } from '../aggregates/access-key/index.ts'
import type { IncidentId } from '../aggregates/incident/index.ts'

const incidentPrefix = 'incident-'
export const accessKeyPrefix = 'accessKey-'

/** The ledger itself: every event of these streams has a place (an index) in it. */
export const ledgerPrefixes = [incidentPrefix, accessKeyPrefix] as const
export const vaultPrefix = 'vault-'
/** The ledger and, beside it, the keys that its sealed text needs. */
export const ledgerAndVaultPrefixes = [...ledgerPrefixes, vaultPrefix] as const

export const genesisStream = 'ledger-genesis'
/** The signed notes over the ledger, each of more events than the one before. */
export const checkpointStream = 'ledger-checkpoints'
const requestPrefix = 'request-'
/** What is copied in the order of the store, each event at its own revision: the ledger, and what was decided and signed about it. */
export const orderedPrefixes = [...ledgerPrefixes, requestPrefix, checkpointStream] as const

export function incidentStream(id: IncidentId): string {
  return `${incidentPrefix}${id}`
}

export function accessKeyStream(id: AccessKeyId): string {
  return `${accessKeyPrefix}${id}`
}

/** Where the request with this id (of `requestId`) is pinned to what it was decided to mean. */
export function requestStream(id: string): string {
  return `${requestPrefix}${id}`
}

/** Where the data keys with ids `<id>.<slot>` are. */
export function vaultStream(id: string): string {
  return `${vaultPrefix}${id}`
}

/** The vault whose stream this is. */
export function vaultOfStream(stream: string): string | undefined {
  return stream.startsWith(vaultPrefix) ? stream.slice(vaultPrefix.length) : undefined
}

/** Where EventStoreDB keeps a stream's own metadata, such as how many events it is to hold. */
export function metadataStream(stream: string): string {
  return `$$${stream}`
}

export function isIncidentStream(stream: string): boolean {
  return stream.startsWith(incidentPrefix)
}

export function isLedgerStream(stream: string): boolean {
  return ledgerPrefixes.some((prefix) => stream.startsWith(prefix))
}

/** The incident whose stream this is; undefined where what follows the prefix is no id. */
export function incidentOfStream(stream: string): IncidentId | undefined {
  const id = stream.slice(incidentPrefix.length)
  return isIncidentStream(stream) && lowerCaseUuid.test(id)
    ? (id as IncidentId) // the form that the brand promises
    : undefined
}

const lowerCaseUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
