import { describe, expect, it } from 'vitest'
import { type LogFiles, verifyLog } from '../../src/audit/log-verification.ts'
import { verifyStore } from '../../src/audit/store-verification.ts'
import {
  bundleOfIncident,
  entryText,
  logOf,
  type SampleLog,
  sampleEvents,
  signedNote,
  signer,
  uuid,
} from './sample-log.ts'

const count = 600
const sizes = [1, 100, 256, 300, 512, 600]
const events = sampleEvents(count, 50)
const entries = events.map(entryText)
const sound = logOf(entries, { sizes })
const { signal } = new AbortController()

interface Held {
  readonly entries?: readonly string[]
  readonly notes?: readonly string[]
  /** By default dense from 0. */
  readonly revisions?: readonly number[]
}

/** An event store with these events and notes; batches are of no tile's length. */
function storeOf({ entries: held = entries, notes = sound.notes.map(({ note }) => note), revisions }: Held) {
  const kept = notes.map((note, place) => ({ note, revision: revisions?.[place] ?? place }))
  return {
    entries: async function* () {
      for (let at = 0; at < held.length; at += 70)
        yield held.slice(at, at + 70).map((text) => Buffer.from(text))
    },
    notes: async function* () {
      yield kept.slice(0, 2)
      yield kept.slice(2)
    },
    newest: async () => kept.at(-1),
  }
}

function verdictOf(held: Held, known: readonly string[] = [], served?: LogFiles) {
  return verifyStore({ store: storeOf(held), verifiers: [signer], known, served, signal })
}

async function findingsOf(...args: Parameters<typeof verdictOf>) {
  return (await verdictOf(...args)).findings
}

const flipped = (at: number) => entries.with(at, (entries[at] ?? '').replace('access-key', 'access-keq'))
const notesOf = ({ notes }: SampleLog) => notes.map(({ note }) => note)

describe('an event store that holds what was signed', () => {
  it('verifies, by itself and beside the tiles', async () => {
    const verdict = { findings: [], events: count, streams: 50, note: { checkpoint: { size: count } } }
    expect(await verdictOf({})).toMatchObject(verdict)
    expect(await verdictOf({}, notesOf(sound), sound.files)).toMatchObject(verdict)
    const bundles = [3, 7].map((n) =>
      JSON.stringify(bundleOfIncident(sound, events, uuid(`incident ${n}`), 300)),
    )
    expect(await verdictOf({}, bundles)).toMatchObject(verdict)
  })

  it('verifies with events that no note is over yet, and with tiles that are behind or ahead', async () => {
    const notes = notesOf(sound).slice(0, 4)
    expect(await verdictOf({ notes })).toMatchObject({
      findings: [],
      events: count,
      note: { checkpoint: { size: 300 } },
    })
    const behind = logOf(entries.slice(0, 300), { sizes: [300] })
    expect(await findingsOf({}, [], behind.files)).toEqual([])
    expect(await findingsOf({ notes }, [], sound.files)).toEqual([])
  })

  it('is not blamed for tiles that were altered', async () => {
    const altered = logOf(flipped(321), { notes: sound.notes })
    expect(await findingsOf({}, [], altered.files)).toMatchObject([{ code: 'tile', index: 321 }])
  })
})

describe('an event store that was altered', () => {
  it('is told with the name of the event beside the tiles of before, and what was there', async () => {
    const [finding] = await findingsOf({ entries: flipped(321) }, [], sound.files)
    expect(finding).toMatchObject({ code: 'entry', index: 321, stream: events[321]?.stream, revision: 6 })
    expect(finding?.message).toContain('which is the one that was signed: the event was altered')
    const [removed] = await findingsOf({ entries: entries.toSpliced(599, 1) }, [], sound.files)
    expect(removed).toMatchObject({ code: 'shortened', index: 599 })
    expect(removed?.message).toContain(
      `event 599 (${events[599]?.stream}, revision 11), id ${events[599]?.id}`,
    )
    const inserted = await findingsOf(
      { entries: entries.toSpliced(321, 0, entries[5] ?? '') },
      [],
      sound.files,
    )
    expect(inserted.find(({ code, index }) => code === 'entry' && index === 321)?.message).toContain(
      `; the log served event 321 (${events[321]?.stream}, revision 6), id ${events[321]?.id} there`,
    )
  })

  it('is told with the two notes that the event lies between by its notes alone', async () => {
    const [finding] = await findingsOf({ entries: flipped(321) })
    expect(finding?.code).toBe('fork')
    expect(finding?.message).toContain('one of 300 to 511')
  })

  it('is told by a bundle from before, and one from before that is none tells nothing', async () => {
    const bundle = JSON.stringify(bundleOfIncident(sound, events, uuid('incident 21')))
    const changed = flipped(321)
    const anew = notesOf(logOf(changed, { sizes }))
    const findings = await findingsOf({ entries: changed, notes: anew }, [bundle])
    expect(findings[0]).toMatchObject({ code: 'entry', index: 321, revision: 6 })
    expect(findings[0]?.message).toContain('but the known bundle proves event 321')
    expect(findings[1]).toMatchObject({ code: 'fork' })
    const [broken] = await findingsOf({}, [bundle.replace('access-key', 'access-keq')])
    expect(broken?.message).toContain('the known bundle is not to be trusted: event 21')
    expect(await findingsOf({}, ['{}'])).toMatchObject([{ code: 'malformed' }])
  })

  it('is told where notes were removed, are none, or there are none', async () => {
    const notes = notesOf(sound)
    const revisions = [0, 1, 3, 4, 5]
    const [removed] = await findingsOf({ notes: notes.toSpliced(2, 1), revisions })
    expect(removed).toMatchObject({ code: 'missing', message: expect.stringContaining('revision 2') })
    const [none] = await findingsOf({ notes: notes.with(2, '') })
    expect(none).toMatchObject({ code: 'malformed', message: 'revision 2 of ledger-checkpoints is no note' })
    expect(await findingsOf({ notes: [] })).toMatchObject([{ code: 'missing' }])
    const last = await findingsOf({ notes: [...notes, 'no note'] })
    expect(last).toMatchObject([
      { code: 'malformed', message: 'revision 6 of ledger-checkpoints is no note' },
    ])
  })

  it('is told where a note is over another tree: which note it is', async () => {
    const notes = notesOf(sound).with(-1, signedNote(600, Buffer.alloc(32, 1)))
    const [alone] = await findingsOf({ notes })
    expect(alone).toMatchObject({ code: 'fork' })
    expect(alone?.message).toContain('the note with 600 events (revision 5 of ledger-checkpoints)')
    expect(alone?.message).toContain('or that note alone is of another history')
    const beside = await findingsOf({ notes }, [], sound.files)
    expect(beside).toHaveLength(1)
    expect(beside[0]?.message).toMatch(
      /^a fork: the note with 600 events \(revision 5 of ledger-checkpoints\)/,
    )
  })
})

it('of two notes over one size the one that is not met is the fork, in whichever order they come', async () => {
  const other = { size: 300, note: signedNote(300, Buffer.alloc(32, 1)) }
  for (const at of [3, 4]) {
    const { files } = logOf(entries, { notes: sound.notes.toSpliced(at, 0, other) })
    const { findings } = await verifyLog({ files, verifiers: [signer], signal })
    expect(findings).toMatchObject([
      { code: 'fork', index: 299, message: expect.stringContaining('a fork: ') },
    ])
  }
})

it('a bundle from before names the event of a served log that was signed anew', async () => {
  const bundle = JSON.stringify(bundleOfIncident(sound, events, uuid('incident 21'), 512))
  const { files } = logOf(flipped(321), { sizes })
  const { findings } = await verifyLog({ files, verifiers: [signer], known: [bundle], signal })
  expect(findings).toContainEqual(expect.objectContaining({ code: 'entry', index: 321, revision: 6 }))
  expect(findings.map(({ code }) => code)).toContain('consistency')
})
