import { randomUUID } from 'node:crypto'
import { genesisStream } from '../streams.ts'
import { copyOf, type GenesisEvent, type Tenure, tenureOf, tenureTypes } from '../tenure.ts'
import type { RawEvent, RawProposal, RawStore } from './raw-store.ts'

/** A store's `ledger-genesis`, as it was read. */
export interface Genesis {
  readonly events: readonly RawEvent[]
  readonly tenure: Tenure
  /** The retirement that made this store's copy complete. */
  readonly completedBy: string | undefined
}

/** Throws `event-store-unavailable`, and Error where it is not as this version writes it. */
export async function readGenesis(store: RawStore): Promise<Genesis> {
  const events = await store.readStream(genesisStream)
  const parsed = events.map(parsedEvent)
  return { events, tenure: tenureOf(parsed), completedBy: copyOf(parsed)?.retirement }
}

/** Appends behind exactly what was read; false where something else came between. */
export async function appendGenesis(
  store: RawStore,
  { events }: Genesis,
  added: readonly RawProposal[],
): Promise<boolean> {
  const last = events.at(-1)?.revision ?? -1
  return (await store.append(genesisStream, added, last)) === 'appended'
}

export function tenureEvent(
  type: keyof typeof tenureTypes,
  data: Readonly<Record<string, string>>,
): RawProposal {
  return jsonProposal(randomUUID(), tenureTypes[type], { ...data, at: new Date().toISOString() })
}

export function jsonProposal(id: string, type: string, data: Readonly<Record<string, unknown>>): RawProposal {
  return {
    id,
    type,
    contentType: 'application/json',
    data: Buffer.from(JSON.stringify(data)),
    metadata: Buffer.from('{}'),
  }
}

function parsedEvent({ id, type, data }: RawEvent): GenesisEvent {
  try {
    return { id, type, data: JSON.parse(Buffer.from(data).toString()) }
  } catch {
    return { id, type, data: undefined }
  }
}
