/** A log of a few incidents, made of its entries alone: what a notary would serve, and what one would who altered it. */
import { createSecretKey, hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Bundle } from '../../src/audit/bundle.ts'
import { checkpointText } from '../../src/audit/checkpoint.ts'
import type { LogFiles } from '../../src/audit/log-verification.ts'
import {
  consistencyRanges,
  growingTree,
  type Hash,
  hashOfLeaf,
  hashOfSubtrees,
  inclusionRanges,
  type LeafRange,
  subtreesOf,
} from '../../src/audit/merkle.ts'
import { type NoteSigner, noteSigner, signNote } from '../../src/audit/signed-note.ts'
import { bundleOf, tileHeight, tileWidth } from '../../src/audit/tiles.ts'
import { type Disclosure, disclosuresOf, seal } from '../../src/ledger/seal.ts'

export const origin = 'ledger.example/incidents'
export const signer = noteSigner(origin, Buffer.alloc(32, 7))
const dataKey = createSecretKey(Buffer.alloc(32, 9))

export interface SampleEvent {
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly data: unknown
  readonly metadata: Readonly<Record<string, unknown>>
}

export interface SealedEvent extends SampleEvent {
  readonly disclosures: Readonly<Record<string, Disclosure>>
}

export function uuid(name: string): string {
  const hex = hash('sha256', name, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Events of several incidents, in turn; each with a sealed text. */
export function sampleEvents(count: number, incidents: number): SealedEvent[] {
  return Array.from({ length: count }, (_, index) => {
    const incidentId = uuid(`incident ${index % incidents}`)
    const revision = Math.floor(index / incidents)
    const id = uuid(`event ${index}`)
    const keyId = `${incidentId}.0`
    const context = { incidentId, eventId: id, keyId }
    const values =
      revision === 0
        ? { title: `Disk ${index} full`, labels: { b: 'x', a: 'é' }, 'actor.name': 'Night shift' }
        : { text: `note ${index}`, 'actor.name': 'Night shift' }
    const sealed = seal(values, context, dataKey)
    const { box: _box, ...shown } = sealed
    return {
      stream: `incident-${incidentId}`,
      revision,
      id,
      type: revision === 0 ? 'IncidentReported' : 'IncidentNoteAdded',
      data: revision === 0 ? { severity: 'high', source: 'monitoring' } : { noteId: uuid(`note ${index}`) },
      metadata: {
        actor: { kind: 'access-key', id: 'key-1' },
        at: '2026-02-01T12:00:00.000Z',
        recordedAt: '2026-02-01T12:00:00.000Z',
        sealed: shown,
      },
      disclosures: disclosuresOf(sealed, context, dataKey),
    }
  })
}

export function entryText({ stream, revision, id, type, data, metadata }: SampleEvent): string {
  return canonicalize({ stream, revision, id, type, data, metadata }) ?? ''
}

export interface SampleLog {
  readonly entries: readonly string[]
  readonly notes: readonly { readonly size: number | null; readonly note: string }[]
  readonly files: LogFiles
  readonly root: (size: number) => Hash
  readonly inclusion: (index: number, size: number) => Hash[]
}

/**
 * @param sizes those with a note. `notes`: others than the entries would get. `served`: entries that are served in place of those that
 * the tiles are made of.
 */
export function logOf(
  entries: readonly string[],
  {
    sizes = [entries.length],
    by = [signer],
    notes,
    served = entries,
  }: {
    readonly sizes?: readonly number[]
    readonly by?: readonly NoteSigner[]
    readonly notes?: SampleLog['notes'] | undefined
    readonly served?: readonly string[]
  } = {},
): SampleLog {
  const hashes = new Map<string, Hash>()
  const tree = growingTree()
  const roots = [tree.root()]
  for (const entry of entries) {
    for (const { level, index, hash: subtree } of tree.append(hashOfLeaf(Buffer.from(entry)))) {
      hashes.set(`${level}/${index}`, subtree)
    }
    roots.push(tree.root())
  }
  const root = (size: number) => roots[size] ?? Buffer.alloc(32)
  const proof = (ranges: readonly LeafRange[]) =>
    ranges.map((range) =>
      hashOfSubtrees(
        subtreesOf(range).map(({ level, index }) => hashes.get(`${level}/${index}`) ?? Buffer.alloc(32)),
      ),
    )
  const signed = notes ?? sizes.map((size) => ({ size, note: signedNote(size, root(size), by) }))
  return {
    entries,
    notes: signed,
    root,
    inclusion: (index, size) => proof(inclusionRanges(index, size)),
    files: {
      checkpoint: async () => signed.at(-1)?.note,
      notes: async function* () {
        for (let at = 0; at < signed.length; at += 2) yield signed.slice(at, at + 2)
      },
      entries: async (index, width) => {
        const some = served.slice(index * tileWidth, index * tileWidth + width)
        return some.length === 0 ? undefined : bundleOf(some.map((entry) => Buffer.from(entry)))
      },
      tile: async (level, index, width) => {
        const found = Array.from({ length: width }, (_, place) =>
          hashes.get(`${level * tileHeight}/${index * tileWidth + place}`),
        ).filter((one) => one !== undefined)
        return found.length === 0 ? undefined : Buffer.concat(found)
      },
      consistency: async (from, to) => (to > entries.length ? undefined : proof(consistencyRanges(from, to))),
    },
  }
}

export function signedNote(size: number, root: Hash, by: readonly NoteSigner[] = [signer]): string {
  return signNote(checkpointText({ origin, size, root, extensions: [] }), by)
}

export function bundleOfIncident(
  log: SampleLog,
  events: readonly SealedEvent[],
  incidentId: string,
  size = log.entries.length,
): Bundle {
  return {
    format: 'incident-ledger/bundle@1',
    incidentId,
    note: signedNote(size, log.root(size)),
    events: events.flatMap((event, index) =>
      event.stream === `incident-${incidentId}` && index < size
        ? [
            {
              index,
              entry: entryText(event),
              proof: log.inclusion(index, size).map((one) => one.toString('base64')),
              disclosures: { ...event.disclosures },
            },
          ]
        : [],
    ),
  }
}
