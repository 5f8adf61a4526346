import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BackupError, backUpLog, restoreLog } from '../../../src/embedded/event-store/backup.ts'
import { EventStoreOpenError, openDatabase } from '../../../src/embedded/event-store/database.ts'
import { createEventLog } from '../../../src/embedded/event-store/event-log.ts'
import type { ProposedEvent } from '../../../src/embedded/event-store/events.ts'
import { checkLog } from '../../../src/embedded/event-store/fsck.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

let directory: TemporaryDirectory
let data: string
let file: string
beforeEach(async () => {
  directory = await temporaryDirectory()
  data = join(directory.path, 'data')
  file = join(data, 'events.sqlite')
})
afterEach(() => directory.remove())

function event(text: string): ProposedEvent {
  return {
    id: crypto.randomUUID(),
    type: 'Something',
    isJson: true,
    data: Buffer.from(text),
    metadata: Buffer.from('{}'),
  }
}

/** Three streams, one that keeps two events, one deleted, one deleted for good. */
async function fill(log: ReturnType<typeof createEventLog>): Promise<void> {
  await log.append('kept', 'any', [event('the first'), event('the second'), event('the third')])
  await log.append('$$short', 'any', [event('{"$maxCount":2}')])
  await log.append('short', 'any', [event('1'), event('2'), event('3')])
  await log.append('gone', 'any', [event('1'), event('2')])
  await log.deleteStream('gone', 'any')
  await log.append('buried', 'any', [event('1')])
  await log.tombstone('buried', 'any')
}

async function filledAndClosed(): Promise<void> {
  const log = createEventLog(openDatabase(data))
  await fill(log)
  log.close()
}

function faults(path = file): string[] {
  return [...checkLog(path)].flatMap((check) => check.faults)
}

describe('backup and restore', () => {
  test('a log in use is copied as it stands at one moment, and a node goes on from the copy', async () => {
    const log = createEventLog(openDatabase(data))
    await fill(log)
    const { lastPosition } = log.tail
    const target = join(directory.path, 'backup')
    const copying = backUpLog(data, target)
    let isOver = false
    const over = copying.finally(() => {
      isOver = true
    })
    let meanwhile = 0
    while (!isOver) {
      await log.append('meanwhile', 'any', [event('x'.repeat(1000)), event('y')])
      meanwhile += 2
      await new Promise((resolve) => setImmediate(resolve))
    }
    await over
    expect(log.tail.lastPosition).toBe(lastPosition + meanwhile)
    log.close()

    const restored = join(directory.path, 'restored')
    await restoreLog(restored, target)
    const copy = createEventLog(openDatabase(restored))
    const events = copy.reader.allForwards(0, 100)
    expect(events.find(({ streamName }) => streamName === 'kept')).toMatchObject({
      data: new TextEncoder().encode('the first'),
    })
    // Whole appends only.
    expect((copy.reader.stream('meanwhile')?.lastRevision ?? -1) % 2).not.toBe(0)
    const next = copy.tail.lastPosition + 1
    expect(await copy.append('kept', 2, [event('the fourth')])).toMatchObject({ position: next })
    copy.close()
    expect(readdirSync(directory.path).sort()).toEqual(['backup', 'data', 'restored'])
  })

  test('neither overwrites what is there', async () => {
    await filledAndClosed()
    const target = join(directory.path, 'backup')
    await backUpLog(data, target)
    const before = readFileSync(target)
    await expect(backUpLog(data, target)).rejects.toThrow(/there is a backup already at .*backup/)
    await expect(restoreLog(data, target)).rejects.toThrow(/there is an event store already at .*sqlite/)
    expect(readFileSync(target).equals(before)).toBe(true)
  })

  test('neither takes what is no log, or has faults, and leaves nothing behind', async () => {
    const empty = join(directory.path, 'empty')
    await expect(backUpLog(empty, join(directory.path, 'backup'))).rejects.toThrow(EventStoreOpenError)
    const noLog = join(directory.path, 'text')
    writeFileSync(
      noLog,
      'some text, which is no database, and long enough to have a header of one'.repeat(20),
    )
    await expect(restoreLog(data, noLog)).rejects.toThrow(EventStoreOpenError)
    expect(existsSync(data)).toBe(false)
    await filledAndClosed()
    flip(Buffer.from('the second'))
    await expect(backUpLog(data, join(directory.path, 'backup'))).rejects.toThrow(BackupError)
    expect(readdirSync(directory.path).sort()).toEqual(['data', 'text'])
  })
})

describe('fsck', () => {
  test('says what it checked, and finds nothing in a log of every kind of stream', async () => {
    await filledAndClosed()
    expect([...checkLog(file)]).toMatchObject([
      { what: 'pages and indexes (SQLite)', faults: [] },
      { what: 'positions: each event has one, and those without an event were erased', faults: [] },
      { what: 'revisions: dense in each stream, in the order of the positions', faults: [] },
      { what: 'streams: heads against events', checked: 6, faults: [] },
      { what: 'metadata: what streams keep against their newest metadata', faults: [] },
      { what: 'events: types, ids, times, checksums', checked: 8, faults: [] },
    ])
  })

  test('reads beside a node that writes', async () => {
    const log = createEventLog(openDatabase(data))
    await fill(log)
    expect(faults()).toEqual([])
    expect(await log.append('kept', 'any', [event('the fourth')])).toMatchObject({ kind: 'written' })
    log.close()
  })

  test('finds one bit that has flipped in the data of an event', async () => {
    await filledAndClosed()
    flip(Buffer.from('the second'))
    expect(faults()).toEqual(['the event at position 2 is not as it was written'])
  })

  test('says that the file cannot be read where its pages are damaged', async () => {
    const log = createEventLog(openDatabase(data))
    for (let n = 0; n < 20; n += 1) await log.append('s', 'any', [event('x'.repeat(10_000))])
    log.close()
    const bytes = readFileSync(file)
    bytes.fill(0xff, bytes.length - 16_384 * 4)
    writeFileSync(file, bytes)
    expect(faults().join()).toMatch(/Tree \d+ page \d+|malformed/)
  })

  test('finds an event that is gone and that nothing else speaks of', async () => {
    const log = createEventLog(openDatabase(data))
    for (const stream of ['a', 'b', 'c']) await log.append(stream, 'any', [event('the only one')])
    log.close()
    new DatabaseSync(file).exec('DELETE FROM event WHERE position = 2')
    expect(faults()).toEqual(['of 3 positions 1 have no event, but 0 events were erased'])
  })

  test.each([
    [
      'UPDATE event SET position = 100 WHERE position = 2',
      [/kept: revision 1 is at position 100|revision 2 is at position 3/],
    ],
    ['DELETE FROM event WHERE position = 2', [/kept: revision 2 follows revision 0/]],
    ['UPDATE event SET revision = 7 WHERE position = 3', [/kept: revision 7 follows revision 1/]],
    [
      "UPDATE stream SET first_revision = 1 WHERE name = 'kept'",
      [/kept begins at revision 0, but by its head at 1/],
    ],
    ["UPDATE stream SET tombstoned = 1 WHERE name = 'kept'", [/kept is marked as deleted for good without/]],
    ["UPDATE stream SET tombstoned = 0 WHERE name = 'buried'", [/buried is not marked as deleted for good/]],
    ["DELETE FROM stream WHERE name = 'kept'", [/3 events belong to no stream/]],
    [
      "UPDATE stream SET max_count = 3 WHERE name = 'short'",
      [/short keeps other events than its metadata say/],
    ],
    [
      "UPDATE stream SET max_count = 3 WHERE name = 'kept'",
      [/kept keeps other events than its metadata say/],
    ],
    ['DELETE FROM event_type', [/position 1 has no type/]],
    ["UPDATE event SET id = x'00' WHERE position = 1", [/position 1 has no UUID/]],
    ['UPDATE event SET is_json = 2 WHERE position = 1', [/position 1 is neither JSON nor bytes/]],
    ["UPDATE event SET metadata = x'00' WHERE position = 1", [/position 1 is not as it was written/]],
  ])('finds what %s does', async (statement, expected) => {
    await filledAndClosed()
    new DatabaseSync(file).exec(statement)
    const found = faults().join('\n')
    for (const fault of expected) expect(found).toMatch(fault)
  })
})

test('a log of format 1 is brought to this one, and its events count as they are', async () => {
  await filledAndClosed()
  const old = new DatabaseSync(file)
  old.exec('ALTER TABLE event DROP COLUMN checksum; PRAGMA user_version = 1')
  old.close()
  expect(() => [...checkLog(file)]).toThrow(/has format 1; this version reads 2/)
  const log = createEventLog(openDatabase(data))
  await log.append('kept', 2, [event('the fourth')])
  expect(log.reader.allForwards(0)).toMatchObject([
    { data: new TextEncoder().encode('the first') },
    {},
    {},
    {},
    {},
    {},
    {},
    {},
    {},
  ])
  log.close()
  expect(faults()).toEqual([])
  cpSync(file, `${file}.copy`)
  flip(Buffer.from('the fourth'))
  expect(faults()).toEqual([expect.stringMatching(/is not as it was written/)])
})

/** Alters the one place of the file that holds these bytes, in one bit. */
function flip(needle: Buffer): void {
  const bytes = readFileSync(file)
  const at = bytes.indexOf(needle)
  expect([at > 0, bytes.indexOf(needle, at + 1)]).toEqual([true, -1])
  bytes[at + 4] = (bytes[at + 4] ?? 0) ^ 1
  writeFileSync(file, bytes)
}
