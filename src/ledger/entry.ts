import { hash } from 'node:crypto'
import type { StoredEvent } from './event-store.ts'

/** Where entries are served, their lengths are written in 16 bits; this leaves some room. */
export const longestEntryBytes = 60_000
/** JSON that is nested deeper is not looked into. None of ours is. */
const deepestLevel = 100

/** What an event of the ledger is to an auditor. */
export type EntrySource = Pick<StoredEvent, 'stream' | 'revision' | 'id' | 'type' | 'data' | 'metadata'>

/**
 * An event of the ledger as the leaf that is signed: canonical JSON (RFC 8785) of `{data, id, metadata, revision, stream, type}` as
 * stored, without the box of sealed text (`metadata.sealed.box`). Nothing that the store's clock gives is in it, and nothing secret.
 *
 * Where data or metadata are no I-JSON (RFC 7493), or would make the entry longer than `longestEntryBytes`, `{"sha256": "<base64>"}` of
 * their bytes stands in their place; of bytes that the client has read as JSON already, of the JSON that they make again. A string at the
 * top is what the client makes of bytes that are no JSON, and is taken for that. Total: there is an entry for whatever was stored.
 *
 * @returns text that is well-formed Unicode; its bytes are its UTF-8.
 */
export function entryOf({ stream, revision, id, type, data, metadata }: EntrySource): string {
  const envelope = {
    id: canonical(id),
    revision: String(revision),
    stream: canonical(stream),
    type: canonical(type),
  }
  const entry = entryText(envelope, partOf(data), partOf(withoutBox(metadata)))
  if (fits(entry)) return entry
  const short = entryText(envelope, standIn(data), standIn(withoutBox(metadata)))
  return fits(short) ? short : standIn(short)
}

function entryText(
  { id, revision, stream, type }: Readonly<Record<'id' | 'revision' | 'stream' | 'type', string>>,
  data: string,
  metadata: string,
): string {
  return `{"data":${data},"id":${id},"metadata":${metadata},"revision":${revision},"stream":${stream},"type":${type}}`
}

function fits(entry: string): boolean {
  return entry.length * 3 <= longestEntryBytes || Buffer.byteLength(entry) <= longestEntryBytes
}

function partOf(value: unknown): string {
  if (typeof value !== 'object' || value instanceof Uint8Array)
    return isPlain(value) ? canonical(value) : standIn(value)
  try {
    return canonical(value)
  } catch (error) {
    if (error instanceof NoIJson) return standIn(value)
    throw error
  }
}

function isPlain(value: unknown): value is number | boolean {
  return typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
}

function standIn(value: unknown): string {
  const bytes =
    value instanceof Uint8Array || typeof value === 'string'
      ? value
      : value === undefined
        ? ''
        : JSON.stringify(value)
  return `{"sha256":"${hash('sha256', bytes, 'base64')}"}`
}

/** The box is what an erasure makes worthless, and is of no use to who has no key: what it holds is committed to beside it. */
function withoutBox(metadata: unknown): unknown {
  if (!isObject(metadata) || !isObject(metadata.sealed) || !('box' in metadata.sealed)) return metadata
  const { box: _, ...sealed } = metadata.sealed
  return { ...metadata, sealed }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}

class NoIJson extends Error {}

/**
 * RFC 8785: members in the order of their names' UTF-16 units, numbers and strings as JSON.stringify writes them. What the ledger writes has
 * its members in that order already, so that JSON.stringify, which is quicker, writes it all.
 * @throws NoIJson
 */
function canonical(value: unknown): string {
  return isInOrder(value, 0) ? JSON.stringify(value) : ordered(value, 0)
}

/** @throws NoIJson, but perhaps not where it is false. */
function isInOrder(value: unknown, level: number): boolean {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new NoIJson()
      return true
    case 'number':
      if (!Number.isFinite(value)) throw new NoIJson()
      return true
    case 'boolean':
      return true
    case 'object':
      if (value === null) return true
      if (level === deepestLevel) throw new NoIJson()
      if (Array.isArray(value)) return value.every((item) => isInOrder(item, level + 1))
      return hasMembersInOrder(value, level + 1)
    default:
      throw new NoIJson()
  }
}

function hasMembersInOrder(value: object, level: number): boolean {
  let before: string | undefined
  for (const name of Object.keys(value)) {
    if (before !== undefined && before > name) return false
    if (!name.isWellFormed()) throw new NoIJson()
    if (!isInOrder(Reflect.get(value, name), level)) return false
    before = name
  }
  return true
}

function ordered(value: unknown, level: number): string {
  switch (typeof value) {
    case 'string':
      return orderedString(value)
    case 'number':
      if (!Number.isFinite(value)) throw new NoIJson()
      return String(Object.is(value, -0) ? 0 : value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (level === deepestLevel) throw new NoIJson()
      if (Array.isArray(value)) return `[${value.map((item) => ordered(item, level + 1)).join(',')}]`
      return orderedObject(value, level + 1)
    default:
      throw new NoIJson()
  }
}

function orderedObject(value: object, level: number): string {
  let text = ''
  for (const name of Object.keys(value).sort()) {
    const member: unknown = Reflect.get(value, name)
    text += `${text === '' ? '{' : ','}${orderedString(name)}:${ordered(member, level)}`
  }
  return text === '' ? '{}' : `${text}}`
}

function orderedString(text: string): string {
  if (!text.isWellFormed()) throw new NoIJson()
  return JSON.stringify(text)
}
