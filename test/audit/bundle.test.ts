import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Bundle, proofsOf, verifyBundle } from '../../src/audit/bundle.ts'
import { hashOfLeaf, provesInclusion } from '../../src/audit/merkle.ts'
import { noteSigner } from '../../src/audit/signed-note.ts'
import { readTlogProof, tlogProofOf } from '../../src/audit/tlog-proof.ts'
import {
  bundleOfIncident,
  entryText,
  logOf,
  origin,
  sampleEvents,
  signedNote,
  signer,
  uuid,
} from './sample-log.ts'

const events = sampleEvents(300, 40)
const log = logOf(events.map(entryText))
const incidentId = uuid('incident 3')
const bundle = bundleOfIncident(log, events, incidentId)

const verdictOf = (changed: unknown) => verifyBundle(JSON.stringify(changed), [signer])
const codesOf = (changed: unknown) => verdictOf(changed).findings.map(({ code }) => code)

/** The bundle with one of its events changed. */
function withEvent(place: number, change: (event: Bundle['events'][number]) => object): unknown {
  return {
    ...bundle,
    events: bundle.events.map((event, at) => (at === place ? { ...event, ...change(event) } : event)),
  }
}

/** The text with another character at a place, of those that the format allows there. */
function altered(text: string, at: number, alphabet: string): string {
  const place = at % text.length
  const other = [...alphabet].find((character) => character !== text[place]) ?? ''
  return `${text.slice(0, place)}${other}${text.slice(place + 1)}`
}

describe('a bundle of an incident', () => {
  it('verifies with the public key alone, and shows its events and texts', () => {
    const verdict = verdictOf(bundle)
    expect(verdict.findings).toEqual([])
    expect(verdict.checkpoint).toMatchObject({ origin, size: 300 })
    expect(verdict.signedBy).toEqual([signer])
    expect(verdict.events.map(({ revision }) => revision)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(verdict.events[0]?.fields).toEqual({
      title: { state: 'disclosed', value: 'Disk 3 full' },
      labels: { state: 'disclosed', value: { b: 'x', a: 'é' } },
      'actor.name': { state: 'disclosed', value: 'Night shift' },
    })
  })

  it('verifies under an older note, for which the later events do not exist', () => {
    const older = bundleOfIncident(log, events, incidentId, 100)
    expect(verdictOf(older)).toMatchObject({ findings: [], checkpoint: { size: 100 } })
  })

  it('shows texts without a disclosure as sealed, or as erased where the incident says that their key is gone', () => {
    const undisclosed = withEvent(0, () => ({ disclosures: {} }))
    expect(verdictOf(undisclosed)).toMatchObject({
      findings: [],
      events: [{ fields: { title: { state: 'sealed' } } }, ...Array(7).fill({})],
    })

    const erasure = {
      stream: `incident-${incidentId}`,
      revision: 8,
      id: uuid('erasure'),
      type: 'IncidentPersonalDataErased',
      data: { keyIds: [`${incidentId}.0`] },
      metadata: {},
      disclosures: {},
    }
    const after = [...events, erasure]
    const erased = bundleOfIncident(logOf(after.map(entryText)), after, incidentId)
    const verdict = verdictOf({ ...erased, events: erased.events.map((e) => ({ ...e, disclosures: {} })) })
    expect(verdict.findings).toEqual([])
    expect(verdict.events[0]?.fields).toMatchObject({ title: { state: 'erased' } })
  })

  it('gives proof files that stand by themselves', () => {
    for (const { entry, ...proof } of proofsOf(bundle)) {
      const read = readTlogProof(tlogProofOf(proof))
      expect(read.note).toBe(bundle.note)
      expect(
        provesInclusion(hashOfLeaf(Buffer.from(entry)), read.index, 300, read.proof, log.root(300)),
      ).toBe(true)
    }
  })
})

describe('a bundle that is not what the log holds is refused by name', () => {
  const places = fc.nat({ max: 10_000 })
  const eventPlaces = fc.nat({ max: bundle.events.length - 1 })

  it('where any character of an entry is another', () => {
    fc.assert(
      fc.property(eventPlaces, places, (place, at) => {
        const changed = withEvent(place, ({ entry }) => ({ entry: altered(entry, at, 'a1') }))
        const { findings } = verdictOf(changed)
        expect(findings.map(({ code }) => code)).toContain('inclusion')
        const index = bundle.events[place]?.index
        expect(findings[0]).toMatchObject({ index })
        expect(findings[0]?.message).toContain(`event ${index}`)
      }),
    )
  })

  it('where a lone surrogate stands for the character that its bytes are read as', () => {
    const text = entryText({
      stream: `incident-${incidentId}`,
      revision: 0,
      id: uuid('surrogate'),
      type: 'T',
      data: '\uFFFD',
      metadata: {},
    })
    const one = logOf([text])
    const given = { index: 0, entry: text, proof: [], disclosures: {} }
    const sound = { ...bundle, note: signedNote(1, one.root(1)), events: [given] }
    expect(codesOf(sound)).toEqual([])
    const lone = { ...given, entry: text.replace('\uFFFD', '\uD800') }
    expect(codesOf({ ...sound, events: [lone] })).toEqual(['malformed'])
  })

  it('where any character of a proof is another, or a hash is missing, doubled or out of place', () => {
    fc.assert(
      fc.property(eventPlaces, fc.nat({ max: 30 }), places, (place, hashAt, at) => {
        const changed = withEvent(place, ({ proof }) => ({
          proof: proof.map((text, i) => (i === hashAt % proof.length ? altered(text, at, 'AB') : text)),
        }))
        const [code] = codesOf(changed)
        expect(['inclusion', 'malformed']).toContain(code)
      }),
    )
    expect(codesOf(withEvent(2, ({ proof }) => ({ proof: proof.slice(1) })))).toEqual(['inclusion'])
    expect(codesOf(withEvent(2, ({ proof }) => ({ proof: [...proof, ...proof.slice(0, 1)] })))).toEqual([
      'inclusion',
    ])
    expect(codesOf(withEvent(2, ({ proof }) => ({ proof: proof.toReversed() })))).toEqual(['inclusion'])
  })

  it('where any character of the note is another', () => {
    fc.assert(
      fc.property(places, (at) => {
        const { findings } = verdictOf({ ...bundle, note: altered(bundle.note, at, 'A\n') })
        expect(['signature', 'malformed', 'unknown-key']).toContain(findings[0]?.code)
        expect(findings[0]?.message).toMatch(/note/)
      }),
    )
  })

  it('where any character of a disclosure is another', () => {
    fc.assert(
      fc.property(eventPlaces, places, fc.boolean(), (place, at, isSalt) => {
        const changed = withEvent(place, ({ disclosures }) => {
          const [[field, { salt, value }] = ['', { salt: '', value: '' }]] = Object.entries(disclosures)
          const disclosure = isSalt
            ? { salt: altered(salt, at, 'AB'), value }
            : { salt, value: altered(String(value), at, 'ab') }
          return { disclosures: { ...disclosures, [field]: disclosure } }
        })
        const { findings } = verdictOf(changed)
        expect(findings).toHaveLength(1)
        expect(['disclosure', 'malformed']).toContain(findings[0]?.code)
        if (findings[0]?.code === 'disclosure')
          expect(findings[0].message).toMatch(/the text of (title|text|actor\.name) is not/)
      }),
    )
  })

  it('whatever character of its whole text is another: refused, or read as the same', () => {
    const text = JSON.stringify(bundle)
    fc.assert(
      fc.property(
        fc.nat({ max: text.length - 1 }),
        fc.constantFrom('a', '0', '"', ' ', ',', '}'),
        (at, other) => {
          const changed = `${text.slice(0, at)}${other}${text.slice(at + 1)}`
          if (verifyBundle(changed, [signer]).findings.length === 0)
            expect(dropping(JSON.parse(changed))).toEqual(dropping(bundle))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['an event left out', { ...bundle, events: bundle.events.toSpliced(3, 1) }, 'revision'],
    ['the first event left out', { ...bundle, events: bundle.events.slice(1) }, 'revision'],
    ['two events swapped', { ...bundle, events: swapped(bundle.events, 1, 2) }, 'order'],
    ['an event twice', { ...bundle, events: [...bundle.events, ...bundle.events.slice(-1)] }, 'doubled'],
    ['another incident’s id', { ...bundle, incidentId: uuid('incident 4') }, 'entry'],
    ['another index', withEvent(1, ({ index }) => ({ index: index + 1 })), 'inclusion'],
    [
      'a text that was never committed to',
      withEvent(1, () => ({ disclosures: { x: { salt: 'AAAA', value: 1 } } })),
      'disclosure',
    ],
    [
      'a text of another event',
      withEvent(1, () => ({ disclosures: bundle.events[2]?.disclosures })),
      'disclosure',
    ],
    ['no events', { ...bundle, events: [] }, 'malformed'],
    ['another format', { ...bundle, format: 'incident-ledger/bundle@2' }, 'malformed'],
    ['a field more', { ...bundle, more: 1 }, 'malformed'],
    [
      'a note of other signers',
      { ...bundle, note: signedNote(300, log.root(300), [noteSigner(origin, randomBytes(32))]) },
      'unknown-key',
    ],
    ['a note over another tree', { ...bundle, note: signedNote(300, randomBytes(32)) }, 'inclusion'],
    ['a note of a smaller tree', { ...bundle, note: signedNote(100, log.root(100)) }, 'inclusion'],
  ])('%s', (_, changed, code) => {
    expect(codesOf(changed)).toContain(code)
  })

  it('no JSON', () => {
    expect(verifyBundle('{', [signer]).findings).toMatchObject([{ code: 'malformed' }])
  })

  it('a key of another log does not vouch for this one', () => {
    const other = noteSigner('another.example', Buffer.alloc(32, 1))
    const note = signedNote(300, log.root(300), [other])
    const { findings } = verifyBundle(JSON.stringify({ ...bundle, note }), [other])
    expect(findings).toMatchObject([{ code: 'unknown-key' }])
  })
})

/** Without disclosures, which may be left out: their fields then show as sealed. */
function dropping(given: Bundle): unknown {
  return { ...given, events: given.events.map(({ disclosures: _, ...event }) => event) }
}

function swapped<Item>(items: readonly Item[], a: number, b: number): Item[] {
  return items.map((item, at) => items[at === a ? b : at === b ? a : at] ?? item)
}
