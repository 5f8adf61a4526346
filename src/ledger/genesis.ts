import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { append } from './append.ts'
import type { EventStore } from './event-store.ts'
import type { Keyring } from './ledger.ts'
import { genesisStream, ledgerPrefixes } from './streams.ts'
import { beginningType, mostGenesisEvents } from './tenure.ts'

/** 1 was from before personal text was sealed. */
const formatVersion = 2
const secretType = 'LedgerSecretRotated'
const purpose = 'genesis'

const genesis = z.object({
  formatVersion: z.int().positive(),
  /** What the ledger is called where its history is vouched for; never changes. */
  origin: z.string().min(1).max(255),
  prefixes: z.array(z.string()),
})
export type Genesis = z.output<typeof genesis>

/** Tells the ledger's own secret from another one: `<version>.<MAC of the origin>`. */
const secretCheck = z.object({ secretCheck: z.string() })

/**
 * The beginning of the ledger that the store holds; made now where there is none. Of two who begin it at once, one does.
 * @throws Error of one line where the store holds a ledger that this version, or this secret, must not touch; LedgerError where it cannot be asked.
 */
export async function beginOrResume(
  store: EventStore,
  keyring: Pick<Keyring, 'sign' | 'verify' | 'isCurrent'>,
  origin: string | undefined,
  timeoutMs: number,
): Promise<Genesis> {
  return (await resume(store, keyring, timeoutMs)) ?? (await begin(store, keyring, origin, timeoutMs))
}

/** Notes that no key is left under an older secret: from now on the current one, or one that follows it, is asked for. */
export async function noteRotation(
  store: EventStore,
  keyring: Pick<Keyring, 'sign' | 'isCurrent'>,
  { origin }: Genesis,
  timeoutMs: number,
): Promise<void> {
  for (;;) {
    const events = await store.readStream(genesisStream, { maxCount: mostGenesisEvents }, timeoutMs)
    if (keyring.isCurrent(newestCheck(events) ?? '')) return
    const data = { secretCheck: keyring.sign(purpose, origin) }
    const event = { id: randomUUID(), type: secretType, data, metadata: {} }
    const last = events.length - 1
    const appended = await append(store, genesisStream, [event], last, performance.now() + timeoutMs)
    if (appended !== 'conflict') return
  }
}

async function resume(
  store: EventStore,
  keyring: Pick<Keyring, 'verify'>,
  timeoutMs: number,
): Promise<Genesis | undefined> {
  const events = await store.readStream(genesisStream, { maxCount: mostGenesisEvents }, timeoutMs)
  const [first] = events
  if (!first) return undefined
  const read = genesis.safeParse(first.data)
  if (first.type !== beginningType || !read.success) {
    throw new Error(`the event store's stream ${genesisStream} was not written by an incident ledger`)
  }
  const { formatVersion: found } = read.data
  if (found !== formatVersion) {
    const age = found < formatVersion ? ' from before personal text was sealed,' : ''
    throw new Error(
      `the event store holds a ledger${age} of format ${found}; this version reads and writes format ${formatVersion} only`,
    )
  }
  const check = newestCheck(events)
  if (check === undefined || !keyring.verify(purpose, read.data.origin, check)) {
    const version = /^\d+/.exec(check ?? '')?.[0] ?? '1'
    throw new Error(
      `LEDGER_SECRET is not the secret of this ledger, which is of version ${version}: give it back, or, if it was rotated, give it in LEDGER_SECRET_PREVIOUS as ${version}:<the secret>`,
    )
  }
  return read.data
}

function newestCheck(events: Awaited<ReturnType<EventStore['readStream']>>): string | undefined {
  const checks = events.flatMap(({ data }) => secretCheck.safeParse(data).data?.secretCheck ?? [])
  return checks.at(-1)
}

async function begin(
  store: EventStore,
  keyring: Pick<Keyring, 'sign' | 'verify'>,
  given: string | undefined,
  timeoutMs: number,
): Promise<Genesis> {
  const origin = given ?? `incident-ledger/${randomUUID()}`
  const begun: Genesis = { formatVersion, origin, prefixes: [...ledgerPrefixes] }
  const data = { ...begun, secretCheck: keyring.sign(purpose, origin) }
  const event = { id: randomUUID(), type: beginningType, data, metadata: {} }
  const appended = await append(store, genesisStream, [event], -1, performance.now() + timeoutMs)
  if (appended !== 'conflict') return begun
  const theirs = await resume(store, keyring, timeoutMs)
  if (!theirs) throw new Error(`the event store refuses to begin ${genesisStream}: the stream was deleted`)
  return theirs
}
