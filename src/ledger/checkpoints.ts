/** Every note that was ever signed over the ledger, in a stream of its own beside it, by size. */
import { z } from 'zod'
import { append } from './append.ts'
import type { EventStore, StoredEvent } from './event-store.ts'
import { checkpointId } from './identity.ts'
import { checkpointStream } from './streams.ts'

const checkpointType = 'LedgerCheckpointSigned'
const checkpointData = z.object({ note: z.string() })

export interface KeptNote {
  /** Of the event that keeps it, dense from 0. */
  readonly revision: number
  /** The signed note. Whether it is one is for the reader to find out: empty where the event is none of ours. */
  readonly note: string
}

export interface Checkpoints {
  /** The name of the ledger, for ever: the first line of each note. */
  readonly origin: string
  /** Oldest first. Throws `event-store-unavailable`. */
  readonly read: (fromRevision: number, maxCount: number) => Promise<readonly KeptNote[]>
  readonly last: () => Promise<KeptNote | undefined>
  /**
   * Keeps a note over `size` events with this root (base64), as the one with exactly this revision. To keep the same again at the same
   * place is safe. Throws `event-store-unavailable`, `outcome-unknown`.
   */
  readonly keep: (
    note: string,
    of: { readonly size: number; readonly root: string; readonly revision: number },
  ) => Promise<'kept' | 'conflict'>
}

export function openCheckpoints(store: EventStore, origin: string, timeoutMs: number): Checkpoints {
  return {
    origin,
    read: async (fromRevision, maxCount) => {
      const events = await store.readStream(checkpointStream, { fromRevision, maxCount }, timeoutMs)
      return events.map(keptNote)
    },
    last: async () => {
      const event = await store.readLast(checkpointStream, timeoutMs)
      return event && keptNote(event)
    },
    keep: async (note, { size, root, revision }) => {
      const event = {
        id: checkpointId(origin, size, root),
        type: checkpointType,
        data: { note },
        metadata: {},
      }
      const until = performance.now() + timeoutMs
      const position = await append(store, checkpointStream, [event], revision - 1, until)
      return position === 'conflict' ? position : 'kept'
    },
  }
}

/** What an event of the stream keeps. */
export function keptNote({
  revision,
  type,
  data,
}: Pick<StoredEvent, 'revision' | 'type' | 'data'>): KeptNote {
  const read = checkpointData.safeParse(data)
  return { revision, note: type === checkpointType && read.success ? read.data.note : '' }
}
