/** The tiles in Postgres: only their one writer, the notary, moves them on; they can all be made again of the ledger. */
import type pg from 'pg'
import { type Hash, hashBytes, hashOfSubtrees, type LeafRange, subtreesOf } from '../../audit/merkle.ts'
import { hashInTile, placeOf, tileWidth } from '../../audit/tiles.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { sql } from '../sql.ts'
import type { Edge, Grown } from './growth.ts'

/** The last event that the tiles contain, and how many of the notes ever signed they are known to meet. */
export interface TilesCheckpoint extends Checkpoint {
  readonly notesMet: number
}

type Client = pg.ClientBase | pg.Pool

export async function readTilesCheckpoint(client: Client): Promise<TilesCheckpoint> {
  const { rows } = await client.query<TilesRow>(sql('queries/notary'))
  const [row] = rows
  if (row === undefined) throw new Error('the table ledger.notary has lost its one row')
  const { index, commit, prepare, event_id, notes_met } = row
  return {
    index: Number(index),
    notesMet: Number(notes_met),
    ...(event_id !== null && {
      position: { commit: BigInt(commit), prepare: BigInt(prepare) },
      eventId: event_id,
    }),
  }
}

interface TilesRow {
  readonly index: string
  readonly commit: string
  readonly prepare: string
  readonly event_id: string | null
  readonly notes_met: string
}

/** What it takes to go on with a tree of this size. */
export async function readEdge(client: Client, size: number): Promise<Edge> {
  const places: Place[] = []
  for (let level = 0, count = size; count > 0; level += 1, count = Math.floor(count / tileWidth)) {
    if (count % tileWidth > 0) places.push({ level, index: Math.floor(count / tileWidth) })
  }
  const found = await readTiles(client, places)
  const tiles = new Map(
    places.map(({ level, index }) => {
      const width = Math.floor(size / tileWidth ** level) % tileWidth
      return [level, hashesIn(found, { level, index }).subarray(0, width * hashBytes)] as const
    }),
  )
  const bundle = size % tileWidth > 0 ? await readBundle(client, Math.floor(size / tileWidth)) : undefined
  return { size, tiles, bundle: bundle ?? Buffer.alloc(0) }
}

/** `soon`: a crash of Postgres within the next second may undo it, as if it had never been; a later one that is durable makes it so. */
export type Durability = 'durable' | 'soon'

/**
 * Writes what has grown and moves the checkpoint from one event to another, in one statement. False: another notary moved it meanwhile,
 * and nothing was written.
 */
export async function writeTiles(
  client: pg.ClientBase,
  from: Checkpoint,
  to: Checkpoint,
  { tiles, bundles }: Grown,
  durability: Durability,
): Promise<boolean> {
  const { rows } = await client.query({
    name: 'write tiles',
    text: sql('queries/write_tiles'),
    values: [
      from.index,
      from.eventId ?? null,
      to.index,
      to.eventId ?? null,
      String(to.position?.commit ?? -1n),
      String(to.position?.prepare ?? -1n),
      tiles.map(({ level }) => level),
      tiles.map(({ index }) => index),
      endsOf(tiles.map(({ hashes }) => hashes)),
      Buffer.concat(tiles.map(({ hashes }) => hashes)),
      bundles.map(({ index }) => index),
      endsOf(bundles.map(({ entries }) => entries)),
      Buffer.concat(bundles.map(({ entries }) => entries)),
      durability === 'durable' ? 'on' : 'off',
    ],
  })
  return rows.length === 1
}

export async function noteMet(client: pg.ClientBase, notesMet: number): Promise<void> {
  await client.query(sql('queries/meet_notes'), [notesMet])
}

/** The hashes of ranges of leaves; of many, with one question. @throws Error where the tiles do not hold them. */
export async function hashesOfRanges(client: Client, ranges: readonly LeafRange[]): Promise<Hash[]> {
  const wanted = ranges.map((range) => subtreesOf(range).map(placeOf))
  const distinct = new Map(wanted.flat().map((place) => [keyOf(place), place]))
  const found = await readTiles(client, [...distinct.values()])
  return wanted.map((places) =>
    hashOfSubtrees(places.map((place) => hashInTile(hashesIn(found, place), place.start, place.count))),
  )
}

/** All the hashes that the tile has so far; undefined where there is none. */
export async function readTile(client: Client, place: Place): Promise<Buffer | undefined> {
  return (await readTiles(client, [place])).get(keyOf(place))
}

/** The entries that the bundle has so far; undefined where there is none. */
export async function readBundle(client: Client, index: number): Promise<Buffer | undefined> {
  const { rows } = await client.query<{ entries: Buffer }>({
    name: 'entry bundle',
    text: sql('queries/entry_bundle'),
    values: [index],
  })
  return rows[0]?.entries
}

/** The hashes of the leaves from tile `first` on, of at most `count` tiles, one after the other. */
export async function readLeaves(client: Client, first: number, count: number): Promise<Buffer> {
  const { rows } = await client.query<{ index: string; hashes: Buffer }>(sql('queries/leaf_tiles'), [
    first,
    count,
  ])
  const dense = rows.filter(({ index }, n) => Number(index) === first + n)
  return Buffer.concat(dense.map(({ hashes }) => hashes))
}

interface Place {
  readonly level: number
  readonly index: number
}

async function readTiles(client: Client, places: readonly Place[]): Promise<Map<string, Buffer>> {
  if (places.length === 0) return new Map()
  const { rows } = await client.query<{ level: number; index: string; hashes: Buffer }>({
    name: 'tiles',
    text: sql('queries/tiles'),
    values: [places.map(({ level }) => level), places.map(({ index }) => index)],
  })
  return new Map(rows.map(({ level, index, hashes }) => [keyOf({ level, index: Number(index) }), hashes]))
}

function hashesIn(found: ReadonlyMap<string, Buffer>, place: Place): Buffer {
  const hashes = found.get(keyOf(place))
  if (hashes === undefined) throw new Error(`there is no tile ${keyOf(place)} in the database`)
  return hashes
}

function keyOf({ level, index }: Place): string {
  return `${level}/${index}`
}

function endsOf(parts: readonly Buffer[]): number[] {
  let end = 0
  return parts.map(({ length }) => {
    end += length
    return end
  })
}
