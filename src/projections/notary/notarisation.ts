import { setInterval } from 'node:timers/promises'
import type { Logger } from 'pino'
import { checkpointText } from '../../audit/checkpoint.ts'
import type { EntryBatch, LedgerEntry } from '../../ledger/entries.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { type Checkpoint, verifyCheckpoint } from '../checkpoint.ts'
import type { Term } from '../leadership.ts'
import type { Projecting, Projection } from '../projector.ts'
import { ProjectorStopped } from '../projector-stopped.ts'
import { keepComparing, settleDifference } from './comparing.ts'
import { compareWithTiles } from './comparison.ts'
import { type Growth, openGrowth } from './growth.ts'
import { keepNewestNote, readNewestNote, readNoteFile, writeNoteFile } from './newest-note.ts'
import {
  type NotesToMeet,
  openNotesToMeet,
  placeOfNote,
  requireMet,
  type SignedTree,
  signedTree,
} from './signed-tree.ts'
import type { SigningKeys } from './signing-keys.ts'
import {
  type Durability,
  hashesOfRanges,
  noteMet,
  readEdge,
  readTilesCheckpoint,
  type TilesCheckpoint,
  writeTiles,
} from './tile-store.ts'

/** Large enough that a catch-up is not paid for by what is done once a batch. */
const batchSize = 4_096
const signIntervalMs = 1_000
/** A follower of an event store's cluster may be so far behind the leader, where the notes are read. */
const missingAfterMs = 5_000

export interface NotarisationOptions {
  readonly ledger: Pick<Ledger, 'entries' | 'checkpoints' | 'readAt'>
  readonly keys: SigningKeys
  /** Where the newest note is kept beside Postgres. */
  readonly noteFile: string
  readonly log: Logger
  /** Told how many events the newest note is over, when a term begins and after each note. */
  readonly onSigned: (size: number) => void
  /** Told how many events the ledger has, as far as it is known. */
  readonly onSeen: (size: number) => void
  /** From the end of a comparison of the whole ledger with the tiles to the beginning of the next. */
  readonly compareEveryMs: number
  /** Told how many events such a comparison has looked at, and when it ended well. */
  readonly onCompared: (compared: number, isWhole: boolean) => void
}

/**
 * The Merkle tree over the ledger, made as a projection is: one process leads. First the tiles are committed; then the note over them
 * is appended to the stream of all notes, at exactly the next revision; only then it is served. What fails ends the term.
 *
 * No note is signed before the tree has met every note that is there. So there are never two trees of one size under one key.
 */
export function notarisation(options: NotarisationOptions): Projection<EntryBatch> {
  return {
    name: 'notary',
    batchSize,
    async checkpoint(term) {
      const found = await readTilesCheckpoint(term.client)
      return found.position === undefined || (await isInPlace(found, term, options))
        ? found
        : moved(found, term, options)
    },
    relocate: async (term) => void (await moved(await readTilesCheckpoint(term.client), term, options)),
    begin: (term) => begin(term, options),
  }
}

async function isInPlace(
  found: TilesCheckpoint,
  { signal }: Term,
  { ledger, log }: NotarisationOptions,
): Promise<boolean> {
  try {
    // Whether it is a copy is for the tiles to say, which know every event.
    const nowhereElse = async () => undefined
    await verifyCheckpoint(found, { readAt: ledger.readAt, findCopied: nowhereElse }, signal, log)
    return true
  } catch (error) {
    if (error instanceof ProjectorStopped) return false
    throw error
  }
}

/**
 * The last event is not where it was. Where every event is as it was signed all the same, the store is a copy, with positions of its own.
 * @throws ProjectorStopped that names the first event that differs.
 */
async function moved(
  found: TilesCheckpoint,
  { client, signal }: Term,
  { ledger, log }: NotarisationOptions,
): Promise<TilesCheckpoint> {
  const last = await compareWithTiles({ client, entries: ledger.entries, size: found.index + 1, signal })
  if (last === undefined) return found
  const to = { ...found, position: last.position, eventId: last.id }
  if (!(await writeTiles(client, found, to, { tiles: [], bundles: [] }, 'durable')))
    throw new Error('another notary is at work')
  log.info({ index: found.index }, 'the event store is a copy: the notary goes on in it')
  return to
}

async function begin(term: Term, options: NotarisationOptions): Promise<Projecting<EntryBatch>> {
  const { ledger, keys, onSigned, onSeen } = options
  const { client } = term
  const { origin } = ledger.checkpoints
  /** As far as it is written, or being written. */
  let written: TilesCheckpoint = await readTilesCheckpoint(client)
  let taken: Checkpoint = written
  await settleDifference(term, options, written.index + 1)
  const growth = openGrowth(await readEdge(client, written.index + 1))
  let newest = await newestNote(options)
  const notes = await openNotesToMeet(ledger.checkpoints, keys.verifiers, written.notesMet)
  const kept = await keptNotes(term, options, newest)
  await meetThoseBehind(term, growth, notes, kept)
  // The keys may be others than those under which it was kept.
  if (newest && !notes.next()) await keep(newest)
  onSeen(growth.size())
  if (newest) onSigned(newest.size)

  let caughtUpAtMs: number | undefined
  /** The first event since the last note that was met. */
  let since: { readonly index: number; readonly entry: LedgerEntry } | undefined
  /** Whether what was taken until then is written: while it is, the next batch is taken. */
  let writing = Promise.resolve(true)
  /** Of what a term before wrote it is not known. */
  let isDurable = false
  const oneAtATime = queue()
  signNowAndThen().catch(term.end)
  keepComparing(term, options, () => written.index + 1).catch(term.end)
  return {
    checkpoint: () => taken,
    apply: ({ entries, caughtUp }) =>
      oneAtATime(async () => {
        for (const entry of entries) {
          since ??= { index: growth.size(), entry }
          growth.take(entry.entry)
          if (notes.next()?.size === growth.size() || kept.has(growth.size())) await meet(entry)
        }
        taken = movedOver(entries, taken)
        onSeen(growth.size())
        caughtUpAtMs = caughtUp ? (caughtUpAtMs ?? performance.now()) : undefined
        if (growth.size() - 1 - written.index < batchSize) return true
        if (!(await writing)) return false
        writing = write('soon')
        writing.catch(() => {}) // whoever comes next is told
        return true
      }),
  }

  async function signNowAndThen(): Promise<void> {
    for await (const _ of setInterval(signIntervalMs, undefined, { signal: term.signal })) {
      requireNoneMissing()
      const isAlone = await oneAtATime(async () => (await writing) && settle())
      if (!isAlone) throw new Error('another notary has written tiles: beginning anew')
    }
  }

  async function meet(entry: LedgerEntry): Promise<void> {
    const size = growth.size()
    const found = since && between(since.index, since.entry, size - 1, entry)
    for (const signed of [kept.get(size), notes.next()]) {
      if (signed?.size === size)
        requireMet(signed, growth.root(), `the one that the ledger holds${found ?? ''}`)
    }
    if (notes.next()?.size === size) await notes.advance()
    since = undefined
  }

  /** Writes what has grown and signs it, where every note that there is has been met. False: another one is at work. */
  async function settle(): Promise<boolean> {
    const tree = { size: growth.size(), root: growth.root() }
    const isToSign = !notes.next() && tree.size !== (newest?.size ?? 0)
    if (isToSign) since = undefined
    if (!(await write('durable'))) return false
    if (!isToSign) return true
    const signed = await sign(tree)
    notes.add(signed)
    await keep(signed)
    newest = signed
    onSigned(signed.size)
    return true
  }

  /** Writes what has grown. False: another one is at work. */
  async function write(durability: Durability): Promise<boolean> {
    const from = written
    const notesMet = notes.count()
    written = { ...taken, notesMet }
    const isMore = written.index > from.index || (durability === 'durable' && !isDurable)
    isDurable = durability === 'durable'
    if (isMore && !(await writeTiles(client, from, written, growth.grown(), durability))) return false
    if (notesMet > from.notesMet) await noteMet(client, notesMet)
    return true
  }

  async function sign({ size, root }: Pick<SignedTree, 'size' | 'root'>): Promise<SignedTree> {
    const note = keys.sign(checkpointText({ origin, size, root, extensions: [] }))
    const revision = notes.count()
    const outcome = await ledger.checkpoints.keep(note, { size, root: root.toString('base64'), revision })
    if (outcome === 'conflict') throw new Error('another notary has signed: beginning anew')
    return { size, root, note, place: 'The newest note' }
  }

  async function keep({ size, note }: SignedTree): Promise<void> {
    await keepNewestNote(client, { size, note, verifierKeys: keys.encoded })
    await writeNoteFile(options.noteFile, note)
  }

  function requireNoneMissing(): void {
    const next = notes.next()
    if (next === undefined || caughtUpAtMs === undefined || performance.now() - caughtUpAtMs < missingAfterMs)
      return
    throw new ProjectorStopped(
      `The event store has lost events: ${next.place} vouches for ${next.size}, but there are ${growth.size()}. The first that is missing ` +
        `has index ${growth.size()}. Nothing is signed over it. Restore the event store from a backup.`,
    )
  }
}

function between(first: number, from: LedgerEntry, last: number, to: LedgerEntry): string {
  const name = ({ stream, revision }: LedgerEntry) => `revision ${revision} of ${stream}`
  if (first === last) return `: the event with index ${first}, ${name(from)}, was altered`
  return `: the first event that differs has an index from ${first}, ${name(from)}, to ${last}, ${name(to)}`
}

async function newestNote({ ledger, keys }: NotarisationOptions): Promise<SignedTree | undefined> {
  const { checkpoints } = ledger
  const last = await checkpoints.last()
  return last && signedTree(last.note, placeOfNote(last.revision), checkpoints.origin, keys.verifiers)
}

/**
 * The notes that are kept beside the event store, by size.
 * @throws ProjectorStopped where one of them is over more events than all that the event store has.
 */
async function keptNotes(
  { client }: Term,
  { ledger, keys, noteFile }: NotarisationOptions,
  newest: SignedTree | undefined,
): Promise<ReadonlyMap<number, SignedTree>> {
  const inPostgres = await readNewestNote(client)
  const inFile = await readNoteFile(noteFile)
  const kept = new Map<number, SignedTree>()
  const sources = [
    { place: 'The note that Postgres keeps (ledger.newest_note)', note: inPostgres?.note },
    { place: `The note in ${noteFile}`, note: inFile },
  ]
  for (const { place, note } of sources) {
    if (note === undefined) continue
    const signed = signedTree(note, place, ledger.checkpoints.origin, keys.verifiers)
    const same = [newest, kept.get(signed.size)].find((other) => other?.size === signed.size)
    if (same) requireMet(signed, same.root, lowerFirst(same.place))
    if (signed.size > (newest?.size ?? 0)) {
      throw new ProjectorStopped(
        `${place} vouches for ${signed.size} events, but ${newest ? `the newest in the event store for ${newest.size} only` : 'there is none in the event store'}: the ` +
          `event store has lost notes, and perhaps events from index ${newest?.size ?? 0} on. Nothing is signed over it. Restore the event store from a backup.`,
      )
    }
    kept.set(signed.size, signed)
  }
  return kept
}

/** Holds the tiles against the notes that they have grown past already: after a crash, or where they were altered. */
async function meetThoseBehind(
  { client }: Term,
  growth: Growth,
  notes: NotesToMeet,
  kept: ReadonlyMap<number, SignedTree>,
): Promise<void> {
  const require = async (signed: SignedTree) => {
    const [root] = await hashesOfRanges(client, [{ start: 0, end: signed.size }])
    if (root) requireMet(signed, root, theTiles)
  }
  for (const signed of kept.values()) if (signed.size <= growth.size()) await require(signed)
  for (let next = notes.next(); next && next.size <= growth.size(); next = notes.next()) {
    await require(next)
    await notes.advance()
  }
}

const theTiles =
  'the tiles in Postgres hold. If the event store is as it was, the tiles were altered: empty them, and they are made again of the events, as docs/audit.md tells'

function movedOver(entries: readonly LedgerEntry[], from: Checkpoint): Checkpoint {
  const last = entries.at(-1)
  if (last === undefined) return from
  return { index: from.index + entries.length, position: last.position, eventId: last.id }
}

/** Lets one after the other. What one throws is its caller's. */
function queue() {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(act: () => Promise<T>): Promise<T> => {
    const next = last.then(act)
    last = next.catch(() => {})
    return next
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
