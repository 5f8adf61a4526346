import pg from 'pg'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LocalAnnouncements, openAnnouncements } from '../../src/projections/announcements.ts'
import { migrate } from '../../src/projections/database.ts'
import type { Announced } from '../../src/projections/read-model.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { isMissing } from '../support/services.ts'
import { waitFor } from '../support/wait-for.ts'
import { startRelay } from './relay.ts'

const log = pino({ level: 'silent' })
const at = (index: number): Announced => ({
  index,
  generation: 0,
  position: { commit: BigInt(index), prepare: BigInt(index) },
})
/** So long that who waits for it to pass, waits in vain. */
const foreverMs = 10 * 60_000

describe.skipIf(isMissing('Postgres'))('Announcements', () => {
  let database: TestDatabase
  let projector: pg.Client
  let announcements: LocalAnnouncements

  beforeEach(async () => {
    database = await createTestDatabase()
    await migrate(database.url)
    projector = new pg.Client(database.url)
    projector.on('error', () => {})
    await projector.connect()
  })
  afterEach(async () => {
    await announcements.close()
    await projector.end()
    await database.drop()
  })

  /** What a projector's commit or beat does. Its beat holds for an hour, unless it is said how far from now it was. */
  async function project(
    { index, generation }: Announced,
    { farBehind = false, notify = true, lastBeat = '1 hour' } = {},
  ) {
    await projector.query(
      `UPDATE ledger.projection SET index = $1, commit = $1, prepare = $1, generation = $2, far_behind = $3,
         event_id = '00000000-0000-0000-0000-000000000000', beat_at = clock_timestamp() + $4::interval
       WHERE name = 'incidents'`,
      [index, generation, farBehind, lastBeat],
    )
    if (notify) {
      await projector.query(`SELECT pg_notify('ledger_announced', $1)`, [
        `${generation} ${index} ${index} ${index}`,
      ])
    }
  }

  // On a slow machine it may be uncertain just now.
  const current = () => waitFor(() => announcements.current(), { describe: 'Postgres is heard' })
  const lease = () => waitFor(() => announcements.cacheLease(), { describe: 'Postgres is heard' })

  test('are known from the start, and then told as they come', async () => {
    await project(at(4))
    announcements = await openAnnouncements({ databaseUrl: database.url, log })
    expect(await current()).toEqual(at(4))
    const told: number[] = []
    announcements.listen(({ index }) => told.push(index))
    await project(at(5))
    await waitFor(() => told.includes(5), { describe: 'it is told' })
    expect(announcements.health()).toMatchObject({ announcedIndex: 5, farBehind: false })
  })

  test('are heard without a notification too, only later', async () => {
    announcements = await openAnnouncements({ databaseUrl: database.url, log })
    await project(at(7), { notify: false })
    await waitFor(() => announcements.current()?.index === 7, { describe: 'it is asked for' })
  })

  test('go back only where the read model was rebuilt', async () => {
    await project(at(9))
    announcements = await openAnnouncements({ databaseUrl: database.url, log })
    announcements.announceLocally(at(8))
    expect((await current()).index).toBe(9)
    const rebuilt = { ...at(3), generation: 1 }
    await project(rebuilt)
    await waitFor(() => announcements.current()?.generation === 1, {
      describe: 'the rebuilt one is heard of',
    })
    expect(await current()).toEqual(rebuilt)
  })

  test('are reached at once, or as soon as they come', async () => {
    await project(at(4))
    announcements = await openAnnouncements({ databaseUrl: database.url, log })
    expect(await announcements.reached(at(4).position, 0)).toBe(true)
    const byNotification = announcements.reached(at(5).position, foreverMs)
    await project(at(5))
    expect(await byNotification).toBe(true)
    const locally = announcements.reached(at(6).position, foreverMs)
    announcements.announceLocally(at(6))
    expect(await locally).toBe(true)
  })

  test('that do not come in time are not reached', async () => {
    await project(at(4))
    announcements = await openAnnouncements({ databaseUrl: database.url, log })
    expect(await announcements.reached(at(5).position, 30)).toBe(false)
  })

  test.each([
    ['the last one stopped long ago', { lastBeat: '-1 hour' }],
    ['the new one does not know yet what is to come', { lastBeat: '0', farBehind: true }],
  ])('are waited for at the start, when %s', async (_, state) => {
    await project(at(4), state)
    announcements = await openAnnouncements({ databaseUrl: database.url, log })
    await waitFor(() => announcements.health().secondsSinceBeat !== null, { describe: 'Postgres is heard' })
    const asked = announcements.reached(at(5).position, foreverMs)
    announcements.announceLocally(at(5))
    expect(await asked).toBe(true)
  })

  test('are not waited for where no projector has ever beaten', async () => {
    announcements = await openAnnouncements({ databaseUrl: database.url, log })
    expect(await announcements.reached(at(0).position, foreverMs)).toBe(false)
    expect(announcements.health().secondsSinceBeat).toBeNull()
  })

  test('are not waited for any longer when the projector has stopped beating or has fallen far behind', async () => {
    await project(at(4), { lastBeat: '0' })
    announcements = await openAnnouncements({ databaseUrl: database.url, log })
    const beforeItStopped = announcements.reached(at(5).position, foreverMs)
    expect(await beforeItStopped).toBe(false)
    expect(announcements.health().secondsSinceBeat).toBeGreaterThanOrEqual(2)

    await project(at(4))
    await waitFor(() => (announcements.health().secondsSinceBeat ?? 9) < 0, { describe: 'it beats again' })
    const beforeItFellBehind = announcements.reached(at(6).position, foreverMs)
    await project(at(5), { farBehind: true })
    expect(await beforeItFellBehind).toBe(false)
  })

  test('are uncertain as soon as Postgres is silent, and certain again when it is heard', async () => {
    await project(at(4))
    await projector.query(`UPDATE ledger.cache_epoch SET epoch = 'e', place = 'p', retired_at = NULL`)
    await using relay = await startRelay(database.url)
    announcements = await openAnnouncements({ databaseUrl: relay.url, log })
    expect(await lease()).toEqual({ name: 'e', place: 'p' })

    relay.hold()
    await waitFor(() => announcements.current() === undefined, { describe: 'the silence is noticed' })
    expect(announcements.cacheLease()).toBeUndefined()
    await project(at(5))

    relay.breakOff()
    await waitFor(() => announcements.current()?.index === 5, { describe: 'Postgres is heard again' })
    expect(await lease()).toEqual({ name: 'e', place: 'p' })
  })
})
