import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { append } from './append.ts'
import type { EventStore } from './event-store.ts'
import { genesisStream, ledgerPrefixes } from './streams.ts'

const formatVersion = 1
const genesisType = 'LedgerBegun'

const genesis = z.object({
  formatVersion: z.int().positive(),
  /** What the ledger is called where its history is vouched for; never changes. */
  origin: z.string().min(1).max(255),
  prefixes: z.array(z.string()),
})
export type Genesis = z.output<typeof genesis>

/**
 * The beginning of the ledger that the store holds; made now where there is none. Of two who begin it at once, one does.
 * @throws Error of one line where the store holds a ledger that this version must not touch; LedgerError where it cannot be asked.
 */
export async function beginOrResume(
  store: EventStore,
  origin: string | undefined,
  timeoutMs: number,
): Promise<Genesis> {
  return (await resume(store, timeoutMs)) ?? (await begin(store, origin, timeoutMs))
}

async function resume(store: EventStore, timeoutMs: number): Promise<Genesis | undefined> {
  const [first] = await store.readStream(genesisStream, { maxCount: 1 }, timeoutMs)
  if (!first) return undefined
  const read = genesis.safeParse(first.data)
  if (first.type !== genesisType || !read.success) {
    throw new Error(`the event store's stream ${genesisStream} was not written by an incident ledger`)
  }
  if (read.data.formatVersion !== formatVersion) {
    throw new Error(
      `the event store holds a ledger of format ${read.data.formatVersion}; this version reads and writes format ${formatVersion} only`,
    )
  }
  return read.data
}

async function begin(store: EventStore, origin: string | undefined, timeoutMs: number): Promise<Genesis> {
  const begun: Genesis = {
    formatVersion,
    origin: origin ?? `incident-ledger/${randomUUID()}`,
    prefixes: [...ledgerPrefixes],
  }
  const event = { id: randomUUID(), type: genesisType, data: begun, metadata: {} }
  const appended = await append(store, genesisStream, [event], -1, performance.now() + timeoutMs)
  if (appended !== 'conflict') return begun
  const theirs = await resume(store, timeoutMs)
  if (!theirs) throw new Error(`the event store refuses to begin ${genesisStream}: the stream was deleted`)
  return theirs
}
