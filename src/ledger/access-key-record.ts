import { type AccessKeyEvent, accessKeyEventData, accessKeyId } from '../aggregates/access-key/index.ts'
import { eventMetadata, type KeyRecord } from './event.ts'
import type { StoredEvent } from './event-store.ts'
import { accessKeyPrefix } from './streams.ts'

/** Of all events of access keys. */
export const accessKeySchemaVersion = 1

/** What an event of an access key says, and of which key; or why it cannot be read. No reason repeats a value. */
export function saidOfAccessKey({
  stream,
  type,
  data,
}: StoredEvent): (Pick<KeyRecord, 'keyId'> & Pick<AccessKeyEvent, 'type' | 'data'>) | string {
  const keyId = accessKeyId.safeParse(stream.slice(accessKeyPrefix.length))
  if (!stream.startsWith(accessKeyPrefix) || !keyId.success)
    return 'the name of its stream holds no id of an access key'
  if (!isKnown(type)) return 'its type is none of ours'
  const said = accessKeyEventData[type].safeParse(data)
  if (!said.success) return 'its data are not of the expected shape'
  return { keyId: keyId.data, type, data: said.data }
}

/** The same with who did it, when and why. */
export function readAccessKeyEvent(
  stored: StoredEvent,
): Pick<KeyRecord, 'keyId' | 'event' | 'metadata'> | string {
  const said = saidOfAccessKey(stored)
  if (typeof said === 'string') return said
  const about = eventMetadata.safeParse(stored.metadata)
  if (!about.success || about.data.schemaVersion !== accessKeySchemaVersion)
    return 'its metadata are not of the expected shape, or of a newer version'
  const { keyId, type, data } = said
  const event = { type, data, recordedAt: about.data.recordedAt } as AccessKeyEvent // the schema was chosen by the type
  return { keyId, event, metadata: about.data }
}

function isKnown(type: string): type is keyof typeof accessKeyEventData {
  return Object.hasOwn(accessKeyEventData, type)
}
