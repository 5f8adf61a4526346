/** docs/events.md tells the truth about the events: its tables, values and examples are those of the schemas. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ZodObject } from 'zod'
import { accessKeyEventData } from '../../src/aggregates/access-key/index.ts'
import {
  allowedFrom,
  incidentEventData,
  limits,
  severities,
  sources,
  statuses,
} from '../../src/aggregates/incident/index.ts'
import { actorKinds, eventMetadata } from '../../src/ledger/event.ts'

const eventData = { ...incidentEventData, ...accessKeyEventData }
const page = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8')
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section): [string, string] => [section.slice(0, section.indexOf('\n')), section]),
)
const section = (heading: string) => sections.get(heading) ?? expect.fail(`docs/events.md lacks «${heading}»`)
const rows = (text: string) =>
  [...text.matchAll(/^\|(.*)\|$/gm)].map(([, row]) => (row ?? '').split('|').map((cell) => cell.trim()))
const codes = (text = '') => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code)
const examples = (text: string) =>
  [...text.matchAll(/^```json.*\n([\s\S]*?)^```$/gm)].map(([, json]): unknown => JSON.parse(json ?? ''))

/** Field → whether it must be there, as the page's table and as the schema say. */
const documentedFields = (text: string) =>
  Object.fromEntries(
    rows(text).flatMap(([field, required]) => {
      const [name] = codes(field)
      return name === undefined ? [] : [[name, required === 'yes']]
    }),
  )
const schemaFields = (schema: ZodObject) =>
  Object.fromEntries(
    Object.entries(schema.shape).map(([name, field]) => [name, !field.safeParse(undefined).success]),
  )

test('every event has its section, in the order of the schemas', () => {
  const documented = [...sections.keys()].filter((heading) => /^(Incident|AccessKey)[A-Z]/.test(heading))
  expect(documented).toEqual(Object.keys(eventData))
})

describe.each(Object.entries(eventData))('%s', (type, schema: ZodObject) => {
  test('lists the fields of its data', () => {
    expect(documentedFields(section(type))).toEqual(schemaFields(schema))
  })

  test('shows examples that are valid as they stand', () => {
    const shown = examples(section(type))
    expect(shown).not.toHaveLength(0)
    for (const example of shown) expect(schema.parse(example)).toEqual(example)
  })
})

describe('the metadata', () => {
  const metadata = section('Metadata')

  test('lists its fields', () => {
    expect(documentedFields(metadata)).toEqual(schemaFields(eventMetadata))
  })

  test('names every kind of actor', () => {
    expect(codes(metadata)).toEqual(expect.arrayContaining([...actorKinds]))
  })

  test('shows an example that is valid as it stands', () => {
    const [example] = examples(metadata)
    expect(eventMetadata.parse(example)).toEqual(example)
  })
})

describe('the values', () => {
  const table = new Map(rows(section('Values')).map(([name, ...rest]) => [name, rest.join(' ')]))

  test.each([
    ['status', statuses],
    ['severity', severities],
    ['source', sources],
  ])('%s', (name, values) => expect(codes(table.get(name))).toEqual([...values]))

  test.each([
    ['title', limits.titleLength],
    ['description', limits.descriptionLength],
    ['reason, note', limits.remarkLength],
    ['externalKey, assignee, origin, originRef', limits.nameLength],
    ['labels', limits.labels],
    ['labels', limits.labelKeyLength],
    ['labels', limits.nameLength],
  ])('%s: %d', (name, limit) => {
    expect(table.get(name)).toMatch(new RegExp(String.raw`\b${limit.toLocaleString('en')}\b`))
  })

  test('which status may follow which', () => {
    for (const from of statuses) expect(codes(table.get(`\`${from}\``)), from).toEqual(allowedFrom(from))
  })

  test('how many events an incident may have', () => {
    expect(section('Streams and places')).toContain(
      `at most ${limits.eventsPerIncident.toLocaleString('en')}`,
    )
  })
})
