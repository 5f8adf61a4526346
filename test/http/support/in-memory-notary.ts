/** The signed log over a ledger in memory: the whole of it is signed whenever it is asked for, unless signing is held. */
import { checkpointText } from '../../../src/audit/checkpoint.ts'
import {
  consistencyRanges,
  type Hash,
  hashOfLeaf,
  hashOfNode,
  inclusionRanges,
  type LeafRange,
} from '../../../src/audit/merkle.ts'
import { noteSigner, signNote } from '../../../src/audit/signed-note.ts'
import { bundleOf, tileWidth } from '../../../src/audit/tiles.ts'
import type { Entries, LedgerEntry } from '../../../src/ledger/entries.ts'
import { entryOf } from '../../../src/ledger/entry.ts'
import { LedgerError } from '../../../src/ledger/errors.ts'
import type { SignedLog } from '../../../src/projections/notary/signed-log.ts'
import type { InMemoryLedger } from './in-memory-ledger.ts'

const signer = noteSigner('ledger.test', Buffer.alloc(32, 7))
export const verifierKey = signer.encoded

export interface InMemoryNotary {
  readonly entries: Pick<Entries, 'ofIncident'>
  readonly signedLog: SignedLog
  /** Signs no more than what is there now. */
  readonly hold: () => void
  /** Stands for a store that was altered: the incidents' events read otherwise than they were signed. */
  altered: boolean
}

export function inMemoryNotary(ledger: Pick<InMemoryLedger, 'records' | 'failing'>): InMemoryNotary {
  let held: number | undefined
  const entryAt = (record: InMemoryLedger['records'][number], altered = false): LedgerEntry => {
    const { id, stream, revision, position, event, metadata } = record
    const type = altered ? 'Altered' : event.type
    return {
      id,
      stream,
      revision,
      position,
      entry: entryOf({ id, stream, revision, type, data: event.data, metadata }),
    }
  }
  const signedEntries = () => ledger.records.slice(0, held).map((record) => entryAt(record).entry)

  function hashOf({ start, end }: LeafRange, leaves: readonly Hash[]): Hash {
    const [only] = leaves.slice(start, end)
    if (end - start === 1 && only) return only
    const middle = start + 2 ** Math.ceil(Math.log2(end - start) - 1)
    return hashOfNode(hashOf({ start, end: middle }, leaves), hashOf({ start: middle, end }, leaves))
  }
  const hashesOf = (ranges: readonly LeafRange[]) => {
    const leaves = signedEntries().map((entry) => hashOfLeaf(entry))
    return ranges.map((range) => hashOf(range, leaves))
  }
  const asked = () => {
    if (ledger.failing.queries) throw ledger.failing.queries
  }
  const newest = () => {
    asked()
    const size = signedEntries().length
    if (size === 0) return undefined
    const [root] = hashesOf([{ start: 0, end: size }])
    if (!root) return undefined
    const note = signNote(checkpointText({ origin: 'ledger.test', size, root, extensions: [] }), [signer])
    return { size, root, note, verifierKeys: `${signer.encoded}\n` }
  }
  const notary: InMemoryNotary = {
    altered: false,
    hold: () => {
      held = ledger.records.length
    },
    entries: {
      ofIncident: async (id) => {
        if (ledger.failing.history) throw ledger.failing.history
        const own = ledger.records.filter((record) => record.incidentId === id)
        if (own.length === 0) throw new LedgerError({ code: 'incident-not-found' })
        return own.map((record) => entryAt(record, notary.altered))
      },
    },
    signedLog: {
      newest: async () => newest(),
      newestOver: async () => newest(),
      tile: async ({ level, index, width }) => {
        asked()
        const leaves = signedEntries().map((entry) => hashOfLeaf(entry))
        const tile = leaves.slice(index * tileWidth, index * tileWidth + width)
        return level === 0 && tile.length === width ? Buffer.concat(tile) : undefined
      },
      entries: async ({ index, width }) => {
        asked()
        const entries = signedEntries().slice(index * tileWidth, index * tileWidth + width)
        return entries.length === width ? bundleOf(entries.map((entry) => Buffer.from(entry))) : undefined
      },
      inclusion: async (indexes, size) => indexes.map((index) => hashesOf(inclusionRanges(index, size))),
      consistency: async (from, to) => hashesOf(consistencyRanges(from, to)),
      notes: async (skip, maxCount) => {
        if (ledger.failing.history) throw ledger.failing.history
        const signed = newest()
        return [{ revision: 0, note: signed?.note ?? '' }].slice(skip, skip + maxCount)
      },
    },
  }
  return notary
}
