import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestTable } from '../../src/audit/digest-table.ts'
import type { ScanState } from '../../src/audit/log-scan.ts'
import { type LogFiles, verifyLog } from '../../src/audit/log-verification.ts'
import { noteSigner } from '../../src/audit/signed-note.ts'
import { entryText, logOf, origin, type SampleLog, sampleEvents, signedNote, signer } from './sample-log.ts'

const count = 600
const sizes = [1, 2, 100, 256, 257, 400, 512, 599, 600]
const events = sampleEvents(count, 50)
const entries = events.map(entryText)
const sound = logOf(entries, { sizes })
const signal = new AbortController().signal

function verdictOf(files: LogFiles, known: readonly string[] = [], verifiers = [signer]) {
  return verifyLog({ files, verifiers, known, signal })
}

async function findingsOf({ files }: Pick<SampleLog, 'files'>, known?: readonly string[]) {
  return (await verdictOf(files, known)).findings
}

/** The log as a tamperer serves it who has another store and the notes of before. */
function tampered(changed: readonly string[]): SampleLog {
  return logOf(changed, { notes: sound.notes })
}

function named(at: number) {
  const event = events[at]
  return { index: at, stream: event?.stream, revision: event?.revision }
}

describe('a log that is what was signed', () => {
  it('verifies, every entry, tile and note of it', async () => {
    expect(await verdictOf(sound.files)).toMatchObject({
      findings: [],
      events: count,
      streams: 50,
      note: { checkpoint: { size: count } },
    })
  })

  it('verifies at every size', async () => {
    for (const size of [0, 1, 2, 255, 256, 257, 511, 512, 513]) {
      const log = logOf(entries.slice(0, size), { sizes: [size] })
      expect(await verdictOf(log.files)).toMatchObject({ findings: [], events: size })
    }
  })

  it('verifies beyond two levels of tiles', async () => {
    const [some] = events
    const many = Array.from({ length: 65_536 + 300 }, (_, index) =>
      entryText({
        stream: `incident-${index}`,
        revision: 0,
        id: `event ${index}`,
        type: '',
        data: some?.data,
        metadata: {},
      }),
    )
    const log = logOf(many, { sizes: [256, 65_536, 65_700, many.length] })
    expect(await verdictOf(log.files)).toMatchObject({ findings: [], events: many.length })
  })

  it('verifies with a note kept from before, of any age', async () => {
    for (const size of [0, 1, 255, 256, 300, 600]) {
      expect(await findingsOf(sound, [signedNote(size, sound.root(size))])).toEqual([])
    }
  })

  it('verifies across a change of keys, with both', async () => {
    const later = noteSigner(origin, Buffer.alloc(32, 8))
    const notes = [
      { size: 100, note: signedNote(100, sound.root(100)) },
      { size: 300, note: signedNote(300, sound.root(300), [signer, later]) },
      { size: 600, note: signedNote(600, sound.root(600), [later]) },
    ]
    const log = logOf(entries, { notes })
    expect((await verdictOf(log.files, [], [signer, later])).findings).toEqual([])
    expect((await verdictOf(log.files, [], [later])).findings).toMatchObject([
      { code: 'unknown-key', index: 99 },
    ])
    expect((await verdictOf(log.files, [], [signer])).findings).toMatchObject([{ code: 'unknown-key' }])
  })
})

describe('a log that was altered', () => {
  it('in a bit of one event: the event is named, whether the tiles are those of before or new ones', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: count - 1 }), async (at) => {
        const changed = entries.with(at, (entries[at] ?? '').replace('access-key', 'access-keq'))
        const [withOldTiles] = await findingsOf(logOf(entries, { sizes, served: changed }))
        expect(withOldTiles).toMatchObject({ code: 'entry', ...named(at) })
        expect(withOldTiles?.message).toContain('the event was altered')
        const [withNewTiles] = await findingsOf(tampered(changed))
        expect(withNewTiles?.code).toBe('fork')
        // The first note that is not met says so as exactly as its log was signed.
        const first = Math.max(0, ...sizes.filter((size) => size <= at))
        const last = Math.min(...sizes.filter((size) => size > at)) - 1
        expect(withNewTiles?.message).toContain(`one of ${first} to ${last}`)
      }),
      { numRuns: 30 },
    )
  })

  it('by two events of a stream that are swapped', async () => {
    const changed = entries.with(70, entries[120] ?? '').with(120, entries[70] ?? '')
    const findings = await findingsOf(tampered(changed))
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'revision', index: 70, stream: named(120).stream }),
    )
    expect(findings.map(({ code }) => code)).toContain('fork')
    expect(await findingsOf(logOf(entries, { sizes, served: changed }))).toContainEqual(
      expect.objectContaining({ code: 'entry', index: 70 }),
    )
  })

  it('by two events of different streams that are swapped', async () => {
    const changed = entries.with(70, entries[71] ?? '').with(71, entries[70] ?? '')
    expect(await findingsOf(tampered(changed))).toMatchObject([{ code: 'fork', index: 2 }])
    expect(await findingsOf(logOf(entries, { sizes, served: changed }))).toMatchObject([
      { code: 'entry', index: 70 },
      { code: 'entry', index: 71 },
      { code: 'fork', index: 2 },
    ])
  })

  it('by one event that was removed', async () => {
    const findings = await findingsOf(tampered(entries.toSpliced(120, 1)))
    expect(findings[0]).toMatchObject({ code: 'revision', ...named(170), index: 169 })
    expect(findings[0]?.message).toContain('stands where revision 2 of its stream should')
    expect(findings).toContainEqual(expect.objectContaining({ code: 'fork', index: 100 }))
    expect(findings).toContainEqual(expect.objectContaining({ code: 'missing', index: 599 }))
  })

  it('by one event that was inserted, and one that was inserted twice', async () => {
    const strange = entryText({
      ...sampleEvents(1, 1)[0],
      revision: 7,
      id: 'x',
      stream: 'incident-x',
    } as never)
    expect(await findingsOf(tampered(entries.toSpliced(120, 0, strange)))).toContainEqual(
      expect.objectContaining({ code: 'revision', index: 120, stream: 'incident-x' }),
    )
    expect(await findingsOf(tampered(entries.toSpliced(120, 0, entries[70] ?? '')))).toContainEqual(
      expect.objectContaining({ code: 'doubled', index: 120, ...{ stream: named(70).stream, revision: 1 } }),
    )
  })

  it('by a tail that was cut off, though the notes promise it', async () => {
    const findings = await findingsOf(tampered(entries.slice(0, 500)))
    expect(findings).toContainEqual(expect.objectContaining({ code: 'missing', index: 500 }))
    expect(findings.find(({ code }) => code === 'shortened')?.message).toContain(
      'from event 500 on were cut off',
    )
  })

  it('by a tail that was cut off with its notes: only a note kept from before tells', async () => {
    const cut = logOf(entries.slice(0, 400), { sizes: sizes.filter((size) => size <= 400) })
    expect(await findingsOf(cut)).toEqual([])
    const [finding] = await findingsOf(cut, [sound.notes.at(-1)?.note ?? ''])
    expect(finding).toMatchObject({ code: 'shortened' })
    expect(finding?.message).toContain('promises 600 events, but the log has 400')
  })

  it('by a history that was written anew and signed with the same key: a fork, which a kept note tells', async () => {
    const anew = logOf(entries.with(300, entries[300]?.replace('access-key', 'access-keq') ?? ''), { sizes })
    expect(await findingsOf(anew)).toEqual([])
    const findings = await findingsOf(anew, [signedNote(512, sound.root(512))])
    expect(findings).toContainEqual(expect.objectContaining({ code: 'fork' }))
    expect(findings[0]?.message).toContain('a fork: the known note with 512 events')
    expect(findings).toContainEqual(expect.objectContaining({ code: 'consistency' }))
  })

  it('by a note in its list that is of another tree, under the same key or another', async () => {
    const other = (by = signer) =>
      sound.notes.map((one) =>
        one.size === 257 ? { size: 257, note: signedNote(257, randomBytes(32), [by]) } : one,
      )
    expect(await findingsOf(logOf(entries, { notes: other() }))).toMatchObject([{ code: 'fork', index: 256 }])
    expect(
      await findingsOf(logOf(entries, { notes: other(noteSigner(origin, randomBytes(32))) })),
    ).toMatchObject([{ code: 'unknown-key', index: 256 }])
  })

  it('by what is among its notes and is none', async () => {
    const spoilt = sound.notes.toSpliced(4, 0, { size: null, note: 'no note' })
    const [finding] = await findingsOf(logOf(entries, { notes: spoilt }))
    expect(finding).toMatchObject({ code: 'malformed', message: expect.stringContaining('number 4') })
  })

  it('by two notes of one size', async () => {
    const doubled = sound.notes.toSpliced(4, 0, { size: 257, note: signedNote(257, randomBytes(32)) })
    expect(await findingsOf(logOf(entries, { notes: doubled }))).toMatchObject([{ code: 'fork', index: 256 }])
  })

  it('by a newest note that does not hold', async () => {
    const broken = sound.notes.with(-1, {
      size: 600,
      note: `${sound.notes.at(-1)?.note}`.replace('600', '601'),
    })
    expect(await findingsOf(logOf(entries, { notes: broken }))).toMatchObject([{ code: 'signature' }])
  })
})

describe('files that are not those of the entries', () => {
  it.each([
    [0, 1],
    [1, 0],
  ])('a tile of level %i is named', async (level, index) => {
    const files: LogFiles = {
      ...sound.files,
      tile: async (l, i, width) => {
        const tile = await sound.files.tile(l, i, width)
        if (tile && l === level && i === index) tile[40] = (tile[40] ?? 0) ^ 1
        return tile
      },
    }
    expect((await verdictOf(files)).findings).toMatchObject([
      { code: 'tile', index: level === 0 ? 257 : 256 },
    ])
  })

  it('one that is not given is named', async () => {
    const files: LogFiles = {
      ...sound.files,
      tile: async (level, index, width) => (level === 1 ? undefined : sound.files.tile(level, index, width)),
    }
    expect((await verdictOf(files)).findings).toMatchObject([{ code: 'missing' }])
    expect((await verdictOf({ ...sound.files, checkpoint: async () => undefined })).findings).toMatchObject([
      { code: 'missing' },
    ])
  })

  it('a consistency proof that is wrong is named', async () => {
    const files: LogFiles = { ...sound.files, consistency: async () => [randomBytes(32)] }
    expect((await verdictOf(files, [signedNote(257, sound.root(257))])).findings).toMatchObject([
      { code: 'consistency' },
    ])
  })
})

describe('a verification that was interrupted', () => {
  it('goes on from where it was, and finds what it would have found', async () => {
    const states: ScanState[] = []
    await verifyLog({
      files: sound.files,
      verifiers: [signer],
      signal,
      onProgress: (_size, _of, state) => void states.push(state() as ScanState),
    })
    expect(states.map(({ size }) => size)).toEqual([256, 512, 600])
    const asked: number[] = []
    const watched = (log: SampleLog): LogFiles => ({
      ...log.files,
      entries: (index, width) => {
        asked.push(index)
        return log.files.entries(index, width)
      },
    })
    for (const from of states.slice(0, 2)) {
      const options = { verifiers: [signer], signal, from }
      const notes = [signedNote(100, sound.root(100)), signedNote(599, sound.root(599))]
      expect(await verifyLog({ ...options, files: watched(sound), known: notes })).toMatchObject({
        findings: [],
        events: count,
        streams: 50,
      })
      const doubled = tampered(entries.with(580, entries[3] ?? ''))
      const { findings } = await verifyLog({ ...options, files: watched(doubled) })
      expect(findings).toContainEqual(expect.objectContaining({ code: 'doubled', index: 580 }))
    }
    expect(asked).not.toContain(0)
  })

  it('ends with the reason of the interruption', async () => {
    const interruption = new AbortController()
    const interrupted = verifyLog({
      files: sound.files,
      verifiers: [signer],
      signal: interruption.signal,
      onProgress: () => interruption.abort(new Error('enough')),
    })
    await expect(interrupted).rejects.toThrow('enough')
  })
})

it('a digest table knows what a Map knows, also after it was kept', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ maxLength: 3 }), fc.nat()), { maxLength: 3_000 }), (pairs) => {
      const table = digestTable()
      const map = new Map<string, number>()
      for (const [text, value] of pairs) {
        expect(table.get(text)).toBe(map.get(text))
        table.set(text, value)
        map.set(text, value)
      }
      const again = digestTable(table.bytes())
      expect([table.size(), again.size()]).toEqual([map.size, map.size])
      for (const [text, value] of map) expect([table.get(text), again.get(text)]).toEqual([value, value])
    }),
    { numRuns: 20 },
  )
  const grown = digestTable()
  for (let at = 0; at < 5_000; at += 1) grown.set(String(at), at)
  expect(Array.from({ length: 5_000 }, (_, at) => grown.get(String(at)))).toEqual(
    Array.from({ length: 5_000 }, (_, at) => at),
  )
})
