import type pg from 'pg'
import { growingTree, type Hash, hashBytes, hashOfLeaf } from '../../audit/merkle.ts'
import { entriesOf, tileWidth } from '../../audit/tiles.ts'
import type { Entries, LedgerEntry } from '../../ledger/entries.ts'
import { ProjectorStopped } from '../projector-stopped.ts'
import { type NotesToMeet, requireMet } from './signed-tree.ts'
import { readBundle, readLeaves } from './tile-store.ts'

/** So many entries at a time: what one holds up others by is a few milliseconds. */
const batchSize = 16 * tileWidth
/** A follower of an event store's cluster may be so far behind its leader. */
const missingAfterMs = 2_000

export interface ComparisonOptions {
  readonly client: pg.Pool | pg.ClientBase
  readonly entries: Pick<Entries, 'subscribe'>
  /** How many events the tiles contain. */
  readonly size: number
  /** The notes from the first on, to be met as well; absent: only the tiles are looked at. */
  readonly notes?: NotesToMeet
  readonly signal: AbortSignal
  /** Called between batches with how many events were looked at. */
  readonly pause?: (compared: number) => Promise<void>
}

/**
 * Reads the whole ledger again, up to `size` events, and holds each event against the leaf that was made of it, and the tree of them
 * against each note.
 * @returns the last event, where there is one; nothing differs.
 *
 * @throws ProjectorStopped that names the first event that differs: index, stream and revision.
 */
export async function compareWithTiles(options: ComparisonOptions): Promise<LedgerEntry | undefined> {
  const { client, entries, size, notes, signal, pause } = options
  const tree = growingTree()
  const leaves = leavesFrom(client)
  const reading = new AbortController()
  let last: LedgerEntry | undefined
  let ending: NodeJS.Timeout | undefined
  const batches = entries.subscribe({ batchSize, signal: AbortSignal.any([signal, reading.signal]) })
  try {
    for await (const batch of batches) {
      clearTimeout(ending)
      for (const found of batch.entries.slice(0, size - tree.size())) {
        const index = tree.size()
        const leaf = hashOfLeaf(found.entry)
        if (!leaf.equals(await leaves.at(index))) throw differs(index, await entryAt(client, index), found)
        tree.append(leaf)
        if (notes?.next()?.size === tree.size()) await meet(notes, tree.root())
        last = found
      }
      if (tree.size() === size) return last
      if (batch.caughtUp) ending = setTimeout(() => reading.abort(), missingAfterMs)
      await pause?.(tree.size())
    }
    signal.throwIfAborted()
    throw differs(tree.size(), await entryAt(client, tree.size()), undefined)
  } finally {
    clearTimeout(ending)
    reading.abort()
  }
}

async function meet(notes: NotesToMeet, root: Hash): Promise<void> {
  const signed = notes.next()
  if (signed === undefined) return
  requireMet(signed, root, 'the one that the ledger holds')
  await notes.advance()
}

function leavesFrom(client: pg.Pool | pg.ClientBase) {
  let first = 0
  let hashes: Buffer = Buffer.alloc(0)
  return {
    /** Ascending; empty where the tiles have none there. */
    async at(index: number): Promise<Buffer> {
      if ((index - first) * hashBytes >= hashes.length) {
        first = Math.floor(index / tileWidth) * tileWidth
        hashes = await readLeaves(client, first / tileWidth, batchSize / tileWidth)
      }
      const start = (index - first) * hashBytes
      return hashes.subarray(start, start + hashBytes)
    },
  }
}

/** What the entry with this index says of itself; undefined where the bundles do not have it. */
export async function entryAt(
  client: pg.Pool | pg.ClientBase,
  index: number,
): Promise<Described | undefined> {
  const bundle = await readBundle(client, Math.floor(index / tileWidth))
  const entry = bundle && entriesOf(bundle)[index % tileWidth]
  if (entry === undefined) return undefined
  const { stream, revision, id } = JSON.parse(entry.toString()) as Described // the form of every entry
  return { stream, revision, id }
}

type Described = Pick<LedgerEntry, 'stream' | 'revision' | 'id'>

/** The sentence that names the first event that is not as it was when it was signed. */
export function differs(
  index: number,
  signed: Described | undefined,
  found: Described | undefined,
): ProjectorStopped {
  const was = signed ? `${nameOf(signed)}, id ${signed.id}` : 'one that is not known here any more'
  const is = found ? `${nameOf(found)}, id ${found.id}` : 'nothing: the ledger ends before it'
  const isSame = signed && found && nameOf(signed) === nameOf(found) && signed.id === found.id
  return new ProjectorStopped(
    `The event store was altered. The first event that differs has index ${index}: signed was ${was}; ` +
      `${isSame ? 'the same event is there now with other content' : `there now is ${is}`}. ` +
      'Nothing is signed over it. Restore the event store from a backup; docs/audit.md tells what to look at.',
  )
}

function nameOf({ stream, revision }: Described): string {
  return `revision ${revision} of ${stream}`
}
