/**
 * Verification of a whole log, as a fold over its entries: each is hashed into the tree anew, and the tree has to meet every root that was
 * ever signed, and every tile that is served. What is kept of an entry is 40 bytes.
 */
import { isUtf8 } from 'node:buffer'
import { type DigestTable, digestTable } from './digest-table.ts'
import { eventName, type Finding, type FindingCode } from './finding.ts'
import { type LogEntry, readEntry } from './log-entry.ts'
import { growingTree, type Hash, hashBytes, hashOfLeaf } from './merkle.ts'
import { type Tile, tileHeight, tileWidth } from './tiles.ts'
import type { TrustedNote } from './trusted-note.ts'

/** Of one kind; the rest is counted. */
export const mostFindings = 20
const noHashes: Buffer = Buffer.alloc(0)

export interface LogScan {
  /** Entries so far. */
  readonly size: () => number
  /** Streams so far. */
  readonly streams: () => number
  readonly root: () => Hash
  /**
   * A note that the tree must meet when it has the note's size, which must not be passed yet. In any order.
   * @param name what it is called in sentences.
   */
  readonly expect: (note: TrustedNote, name?: string) => void
  /** That the entry with this index must be this one. `name`: of what proves it. One that the scan is past already is passed over. */
  readonly expectEntry: (index: number, entry: Buffer, name: string) => void
  /**
   * The next entries, at most to the end of a tile, with the hashes that the log's tile of level 0 has for them; where it has none, or not
   * so many, there is nothing to compare.
   * @returns the tiles of higher levels that are full now, with what they must hold.
   */
  readonly add: (entries: readonly Buffer[], hashes?: Buffer) => readonly ExpectedTile[]
  /** Index of the first entry that makes another hash than the log's tile has. */
  readonly firstMismatch: () => number | undefined
  /** What stands at an index as the log serves it: for the sentence, where another event is there, or none any more. */
  readonly recall: (index: number, entry: Buffer) => void
  /** What the tiles of higher levels must hold that are not full at the tree's end. */
  readonly partialTiles: () => readonly ExpectedTile[]
  readonly compare: (expected: ExpectedTile, served: Buffer) => void
  /** Another thing that is wrong. */
  readonly report: (finding: Finding) => void
  /** All that is wrong so far; the last step. */
  readonly findings: () => readonly Finding[]
  /** What a scan goes on from; undefined while something is wrong, which going on from before it finds again. */
  readonly state: () => ScanState | undefined
}

export interface ExpectedTile extends Tile {
  readonly bytes: Buffer
}

export interface ScanState {
  readonly size: number
  readonly peaks: readonly Hash[]
  /** By level of tiles, from 1: the hashes of the tile that is not full yet. */
  readonly levels: readonly Buffer[]
  readonly streams: Buffer
  readonly ids: Buffer
  readonly notesMet: number
}

interface Mismatch {
  readonly index: number
  readonly stream?: string
  readonly revision?: number
  readonly made: Hash
  readonly served: Hash
}

export function logScan(from?: ScanState): LogScan {
  const made = growingTree(from?.size, from?.peaks)
  /** The tree of the hashes that the tiles say, once they say others than the entries make. */
  let served: ReturnType<typeof growingTree> | undefined
  const levels: Buffer[] = [...(from?.levels ?? [])]
  /** Revision of the last event, by stream. */
  const streams: DigestTable = digestTable(from?.streams)
  /** Index of its event, by event id. */
  const ids: DigestTable = digestTable(from?.ids)
  const expected = new Map<number, { note: TrustedNote; name: string }[]>()
  const proven = new Map<number, { entry: Buffer; name: string }>()
  const servedEntries = new Map<number, Buffer>()
  const found = findingList()
  const mismatches: Mismatch[] = []
  let mismatched = 0
  let notesMet = from?.notesMet ?? 0
  /** Size of the greatest tree that was signed and is this one; and that was signed and is the one that the tiles say. */
  let metUpTo = from?.size ?? 0
  let servedMetUpTo = 0
  let unmet: { note: TrustedNote; name: string; root: Hash }[] = []

  function expect(note: TrustedNote, name = 'the note') {
    const { size } = note.checkpoint
    if (size < made.size()) throw new RangeError(`the scan is past ${size} events`)
    const waiting = expected.get(size)
    if (waiting) waiting.push({ note, name })
    else expected.set(size, [{ note, name }])
    if (size === made.size()) meetNotes()
  }

  function meetNotes() {
    const size = made.size()
    const waiting = expected.get(size)
    if (!waiting) return
    expected.delete(size)
    const root = made.root()
    const met = waiting.filter(({ note }) => note.checkpoint.root.equals(root))
    for (const { note, name } of waiting) {
      if (note.checkpoint.root.equals(root)) continue
      unmet.push({ note, name, root })
      if (served?.root().equals(note.checkpoint.root)) servedMetUpTo = size
    }
    if (met.length === 0) return
    notesMet += met.length
    metUpTo = size
    // What was signed of a tree of this size or a shorter one, and is not a beginning of this one, is of another.
    for (const other of unmet) found.add(forkOf(other, size))
    unmet = []
  }

  function check(text: string, index: number) {
    const entry = readEntry(text)
    if (entry === undefined) {
      found.add({
        code: 'malformed',
        index,
        message: `event ${index} is not canonical JSON of an event, so nothing can be said of it`,
      })
      return undefined
    }
    const { stream, revision, id } = entry
    const where = { index, stream, revision }
    const last = streams.get(stream)
    const next = last === undefined ? 0 : last + 1
    if (revision !== next) {
      found.add({
        code: 'revision',
        ...where,
        message: `${eventName(index, entry)} stands where revision ${next} of its stream should`,
      })
    }
    streams.set(stream, revision)
    const earlier = ids.get(id)
    if (earlier === undefined) ids.set(id, index)
    else {
      found.add({
        code: 'doubled',
        ...where,
        message: `${eventName(index, entry)} has the event id ${id} of event ${earlier}`,
      })
    }
    return entry
  }

  function take(entry: Buffer, given: Hash): readonly ExpectedTile[] {
    const index = made.size()
    const leaf = hashOfLeaf(entry)
    const read = check(isUtf8(entry) ? entry.toString('utf8') : '', index)
    const known = proven.get(index)
    if (known && !known.entry.equals(entry)) found.add(replacedFinding(index, read, leaf, known))
    const hash = given.length === 0 ? leaf : given
    if (!leaf.equals(hash)) {
      served ??= growingTree(made.size(), made.peaks())
      mismatched += 1
      if (mismatches.length < mostFindings) {
        const { stream, revision } = read ?? {}
        mismatches.push({
          index,
          ...(stream !== undefined && { stream }),
          ...(revision !== undefined && { revision }),
          made: leaf,
          served: Buffer.from(hash),
        })
      }
    }
    served?.append(Buffer.from(hash))
    const full: ExpectedTile[] = []
    for (const subtree of made.append(leaf)) {
      if (subtree.level === 0 || subtree.level % tileHeight !== 0) continue
      const level = subtree.level / tileHeight
      const bytes = Buffer.concat([levels[level - 1] ?? Buffer.alloc(0), subtree.hash])
      levels[level - 1] = bytes
      if (bytes.length < tileWidth * hashBytes) continue
      full.push({ level, index: Math.floor(subtree.index / tileWidth), width: tileWidth, bytes })
      levels[level - 1] = Buffer.alloc(0)
    }
    meetNotes()
    return full
  }

  function compare({ level, index, bytes }: ExpectedTile, theirs: Buffer) {
    // Where the tiles of level 0 differ already, those above them must.
    if (served !== undefined || bytes.equals(theirs)) return
    const at = Array.from({ length: bytes.length / hashBytes }, (_, place) => place).find(
      (place) => !slice(bytes, place).equals(slice(theirs, place)),
    )
    const leaves = tileWidth ** level
    const first = (index * tileWidth + (at ?? 0)) * leaves
    found.add({
      code: 'tile',
      index: first,
      message: `the log's tile ${index} of level ${level} has another hash for events ${first} to ${first + leaves - 1} than its entries make`,
    })
  }

  function concluded(): readonly Finding[] {
    const conclusion = findingList(found.all())
    for (const mismatch of mismatches) {
      const { index, served: hash } = mismatch
      const entry = servedEntries.get(index)
      const was = entry && hashOfLeaf(entry).equals(hash) ? entry : undefined
      conclusion.add(mismatchFinding({ ...mismatch, was }, index < metUpTo, index < servedMetUpTo))
    }
    if (mismatched > mismatches.length) {
      const first = mismatches[0]?.index
      conclusion.add({
        code: 'entry',
        message: `${mismatched - mismatches.length} more events differ from the log's tiles, the first being event ${first}`,
      })
    }
    const [first] = unmet
    if (first) conclusion.add(unmetFinding(first, metUpTo, unmet.length))
    const [promised, ...others] = [...expected.values()].flat()
    if (promised) {
      const lost = proven.get(made.size())?.entry ?? servedEntries.get(made.size())
      conclusion.add(shortenedFinding(promised, made.size(), others.length, lost))
    }
    return conclusion.all()
  }

  return {
    size: made.size,
    streams: streams.size,
    root: made.root,
    expect,
    expectEntry: (index, entry, name) => void (index >= made.size() && proven.set(index, { entry, name })),
    add: (entries, hashes = noHashes) => entries.flatMap((entry, place) => take(entry, slice(hashes, place))),
    firstMismatch: () => mismatches[0]?.index,
    recall: (index, entry) => void servedEntries.set(index, entry),
    partialTiles: () =>
      levels.flatMap((bytes, place) => {
        const width = bytes.length / hashBytes
        const index = Math.floor(made.size() / tileWidth ** (place + 1) / tileWidth)
        return width === 0 ? [] : [{ level: place + 1, index, width, bytes }]
      }),
    compare,
    report: found.add,
    findings: concluded,
    state: () =>
      found.all().length > 0 || mismatched > 0 || unmet.length > 0
        ? undefined
        : {
            size: made.size(),
            peaks: made.peaks(),
            levels: [...levels],
            streams: streams.bytes(),
            ids: ids.bytes(),
            notesMet,
          },
  }
}

function mismatchFinding(
  { index, stream, revision, made, served, was }: Mismatch & { readonly was: Buffer | undefined },
  madeIsSigned: boolean,
  servedIsSigned: boolean,
): Finding {
  const where = {
    index,
    ...(stream !== undefined && { stream }),
    ...(revision !== undefined && { revision }),
  }
  const entry = stream === undefined || revision === undefined ? undefined : { stream, revision }
  const name = eventName(index, entry)
  const hashes = `its entry has the leaf hash ${made.toString('base64')}, the log's tile has ${served.toString('base64')}`
  if (madeIsSigned) {
    return {
      code: 'tile',
      ...where,
      message: `${name}: ${hashes}, and the entry's is the one that was signed`,
    }
  }
  const which = servedIsSigned ? ', which is the one that was signed: the event was altered' : ''
  const instead = was ? `; the log served ${entryName(index, was)} there` : ''
  return { code: 'entry', ...where, message: `${name}: ${hashes}${which}${instead}` }
}

function replacedFinding(
  index: number,
  found: LogEntry | undefined,
  leaf: Hash,
  { entry, name }: { readonly entry: Buffer; readonly name: string },
): Finding {
  return {
    code: 'entry',
    index,
    ...(found && { stream: found.stream, revision: found.revision }),
    message: `${eventName(index, found)}: its entry has the leaf hash ${leaf.toString('base64')}, but ${name} proves ${entryName(index, entry)} there, with ${hashOfLeaf(entry).toString('base64')}: the event was altered`,
  }
}

function entryName(index: number, entry: Buffer): string {
  const read = readEntry(entry.toString('utf8'))
  return read ? `${eventName(index, read)}, id ${read.id}` : eventName(index)
}

function forkOf(
  { note, name, root }: { note: TrustedNote; name: string; root: Hash },
  metLater: number,
): Finding {
  const { size, root: signed } = note.checkpoint
  return {
    code: 'fork',
    index: Math.max(size - 1, 0),
    message: `a fork: ${name} with ${size} events, signed by ${signers(note)}, has the root ${signed.toString('base64')}; the log, as signed with ${metLater} events, had ${root.toString('base64')} then`,
  }
}

function unmetFinding(
  { note, name, root }: { note: TrustedNote; name: string; root: Hash },
  metUpTo: number,
  count: number,
): Finding {
  const { size, root: signed } = note.checkpoint
  const others = count === 1 ? '' : `; ${count - 1} notes after it are not met either`
  const before = metUpTo === 0 ? 'no note before it is met' : `the note with ${metUpTo} events is met`
  const alone = count === 1 ? ', or that note alone is of another history' : ''
  return {
    code: 'fork',
    index: metUpTo,
    message: `the log is not the one that was signed: its first ${size} events make the root ${root.toString('base64')}, but ${name} signed by ${signers(note)} has ${signed.toString('base64')}; ${before}, so the first event that differs is one of ${metUpTo} to ${Math.max(size - 1, 0)}${alone}${others}`,
  }
}

function shortenedFinding(
  { note, name }: { note: TrustedNote; name: string },
  size: number,
  others: number,
  lost: Buffer | undefined,
): Finding {
  const first = lost ? `; what is not there any more is ${entryName(size, lost)}` : ''
  const more = others === 0 ? '' : `, as do ${others} more notes`
  return {
    code: 'shortened',
    index: size,
    message: `${name} signed by ${signers(note)} promises ${note.checkpoint.size} events${more}, but the log has ${size}: those from event ${size} on were cut off, or others before them removed${first}`,
  }
}

function signers({ signedBy }: TrustedNote): string {
  return signedBy.map(({ name, keyId }) => `${name}+${keyId.toString('hex')}`).join(' and ')
}

function slice(hashes: Buffer, place: number): Hash {
  return hashes.subarray(place * hashBytes, (place + 1) * hashBytes)
}

/** The first ones of each kind, and how many more there were. */
function findingList(from: readonly Finding[] = []) {
  const kept: Finding[] = [...from]
  const counts = new Map<FindingCode, number>()
  return {
    add(finding: Finding) {
      const count = (counts.get(finding.code) ?? 0) + 1
      counts.set(finding.code, count)
      if (count <= mostFindings) kept.push(finding)
    },
    all: (): readonly Finding[] => [
      ...kept,
      ...[...counts]
        .filter(([, count]) => count > mostFindings)
        .map(([code, count]) => ({
          code,
          message: `${count - mostFindings} more findings like these (${code})`,
        })),
    ],
  }
}
