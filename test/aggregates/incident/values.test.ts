import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  description,
  incidentEventData,
  incidentId,
  instant,
  instantOf,
  labels,
  labelsPatch,
  limits,
  name,
  remark,
  reportBody,
  revisionBody,
  statusBody,
  title,
  titleFrom,
} from '../../../src/aggregates/incident/index.ts'

const year = /^\d{4}$/

describe('an instant', () => {
  it.each([
    ['2026-01-31T09:00:00Z', '2026-01-31T09:00:00.000Z'],
    ['2026-01-31T10:30:00+01:30', '2026-01-31T09:00:00.000Z'],
    ['2026-01-31T09:00:00.123456789Z', '2026-01-31T09:00:00.123Z'],
    ['2024-02-29T23:59:59-00:01', '2024-03-01T00:00:59.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('%s is %s', (text, expected) => expect(instant.parse(text)).toBe(expected))

  it.each([
    '2026-01-31',
    '2026-01-31T09:00:00',
    '2026-02-30T09:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T09:00:60Z',
    'yesterday',
    '',
    1_769_850_000_000,
    null,
  ])('%j is none', (value) => expect(instant.safeParse(value).success).toBe(false))

  // Postgres has no year 0, so such a time would stop the read model.
  it.each(['0000-06-01T00:00:00Z', '0001-01-01T00:00:00+00:01', '9999-12-31T23:59:59-00:01'])(
    '%s lies outside the years 1 to 9999',
    (text) => expect(instant.safeParse(text).success).toBe(false),
  )

  it('compares as a string like the moment that it names', () => {
    const epochMs = fc.integer({
      min: Date.parse('0001-01-01T00:00:00Z'),
      max: Date.parse('9999-12-31T23:59:59Z'),
    })
    fc.assert(
      fc.property(epochMs, epochMs, (a, b) => {
        const [first, second] = [instantOf(a), instantOf(b)]
        expect(instant.parse(first)).toBe(first)
        expect(first.slice(0, 4)).toMatch(year)
        expect(first < second).toBe(a < b)
      }),
    )
  })
})

describe('an id', () => {
  it('is a UUID of any version, in lower case', () => {
    expect(incidentId.parse('0197A5C0-0000-7000-8000-00000000000F')).toBe(
      '0197a5c0-0000-7000-8000-00000000000f',
    )
    expect(incidentId.safeParse('00000000-0000-0000-0000-000000000000').success).toBe(true)
  })

  it.each(['', '0197a5c0000070008000000000000001', '0197a5c0-0000-7000-8000-00000000000g', 7])(
    'is not %j',
    (value) => expect(incidentId.safeParse(value).success).toBe(false),
  )
})

describe('text', () => {
  it.each([
    ['title', title, limits.titleLength],
    ['description', description, limits.descriptionLength],
    ['remark', remark, limits.remarkLength],
    ['name', name, limits.nameLength],
  ] as const)('a %s holds up to its limit and no more', (_, schema, maximum) => {
    expect(schema.safeParse('x'.repeat(maximum)).success).toBe(true)
    expect(schema.safeParse('x'.repeat(maximum + 1)).success).toBe(false)
  })

  it.each(['', ' ', '\n\t\u00a0', 'a\u0000b', 'half a pair \ud83d', '\ude00 the other half', 7, null])(
    '%j is not taken',
    (value) => {
      for (const schema of [title, description, remark, name])
        expect(schema.safeParse(value).success).toBe(false)
    },
  )

  it('keeps every character it was given, blanks at the ends included', () => {
    expect(description.parse('  indented\r\n😀 \u202e end ')).toBe('  indented\r\n😀 \u202e end ')
  })
})

describe('labels', () => {
  it('take keys of up to 63 plain characters and values of up to 255 of any', () => {
    const entries = { ['k'.repeat(63)]: 'v'.repeat(255), 'a.B_c-9': '', constructor: 'an inherited name' }
    expect(labels.parse(entries)).toEqual(entries)
  })

  it.each([
    [{ ['k'.repeat(64)]: 'x' }],
    [{ '': 'x' }],
    [{ 'a b': 'x' }],
    [{ clé: 'x' }],
    [{ a: 'v'.repeat(256) }],
    [{ a: 'a\u0000' }],
    [{ a: null }],
    [{ a: 1 }],
    [['a']],
    [null],
  ])('%j are none', (value) => expect(labels.safeParse(value).success).toBe(false))

  it.each([labels, labelsPatch])(
    'refuse an own __proto__ and name it, rather than passing over it',
    (schema) => {
      const parsed = schema.safeParse(JSON.parse('{"__proto__":"x","service":"checkout"}'))
      expect(parsed.error?.issues).toMatchObject([
        { path: ['__proto__'], message: expect.stringContaining('1 to 63') },
      ])
    },
  )

  it('say what a key must be', () => {
    expect(labels.safeParse({ 'a b': 'x' }).error?.issues).toMatchObject([
      { path: ['a b'], message: expect.stringContaining('1 to 63 characters') },
    ])
  })

  it('are at most 32, and a patch names at most 64', () => {
    const some = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'x']))
    expect(labels.safeParse(some(32)).success).toBe(true)
    expect(labels.safeParse(some(33)).success).toBe(false)
    expect(labelsPatch.safeParse(some(64)).success).toBe(true)
    expect(labelsPatch.safeParse(some(65)).success).toBe(false)
  })
})

describe('bodies', () => {
  const least = { description: 'Disk full', source: 'monitoring' }

  it('a report needs a description and a source, and defaults the rest', () => {
    expect(reportBody.parse(least)).toEqual({ ...least, severity: 'medium', assignee: null, labels: {} })
    expect(reportBody.safeParse({ source: 'operator' }).success).toBe(false)
    expect(reportBody.safeParse({ description: 'Disk full' }).success).toBe(false)
  })

  it.each(['origin', 'originRef', 'status', 'id', 'at', 'unknown'])(
    'a report may not say its %s',
    (field) => {
      expect(reportBody.safeParse({ ...least, [field]: 'new' }).error?.issues).toMatchObject([
        { code: 'unrecognized_keys', keys: [field] },
      ])
    },
  )

  it('a revision names at least one field, and never the status', () => {
    expect(revisionBody.safeParse({}).success).toBe(false)
    expect(revisionBody.safeParse({ title: undefined }).success).toBe(false)
    expect(revisionBody.safeParse({ status: 'closed' }).success).toBe(false)
    expect(revisionBody.safeParse({ title: null }).success).toBe(false)
    expect(revisionBody.parse({ assignee: null })).toEqual({ assignee: null })
  })

  it('a status is one of the five', () => {
    expect(statusBody.safeParse({ status: 'in_progress', reason: 'On it' }).success).toBe(true)
    expect(statusBody.safeParse({ status: 'active' }).success).toBe(false)
    expect(statusBody.safeParse({ status: 'closed', reason: '' }).success).toBe(false)
  })
})

describe('the title taken from a description', () => {
  it.each([
    ['Disk full', 'Disk full'],
    ['\n \r\n\tDisk full\t\nsince noon', 'Disk full'],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['x'.repeat(201), `${'x'.repeat(199)}…`],
    [`${'x'.repeat(198)}😀${'x'.repeat(9)}`, `${'x'.repeat(198)}…`],
  ])('%j → %j', (text, expected) => expect(titleFrom(text)).toBe(expected))

  it('is a title that the report event takes, for every description that is one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 600 }), (text) => {
        fc.pre(description.safeParse(text).success)
        const cut = titleFrom(text)
        expect(incidentEventData.IncidentReported.shape.title.safeParse(cut).success).toBe(true)
        if (!cut.endsWith('…')) expect(text).toContain(cut)
      }),
    )
  })
})
